package gateway

import "context"

// SessionsOfUser returns the IDs of the user's sessions that aren't past their time, the last seen
// first with a store.UserIndex. It returns errors.ErrUnsupported or ErrUnavailable if that fails.
func (g *Gateway) SessionsOfUser(ctx context.Context, userID string) (ids []string, err error) {
	op := g.attached(ctx)
	defer op.stop()
	all, err := g.ByUser(op, userID)
	if err != nil {
		return nil, err
	}
	now := Now()
	for rec, err := range all {
		if err != nil {
			return nil, g.failed(op, "find the user's sessions", err)
		}
		if !rec.Expired(now) {
			ids = append(ids, rec.ID)
		}
	}
	return ids, nil
}

// LockUser locks the logins of the user, in every process, until unlock is called. unlock is nil if
// the store isn't a store.UserLocker. An error of unlock means that the lock may have been lost
// before. LockUser returns ErrUnavailable if the store fails.
func (g *Gateway) LockUser(ctx context.Context, userID string) (unlock func() error, err error) {
	if g.locker == nil {
		return nil, nil
	}
	op := g.attached(ctx)
	defer op.stop()
	release, err := g.locker.LockUser(op, userID)
	if err != nil {
		return nil, g.failed(op, "keep the user's logins out", err)
	}
	return func() error {
		op := g.detached(ctx)
		defer op.stop()
		return g.failed(op, "keep the user's logins out to the end; one may have been missed", release(op))
	}, nil
}

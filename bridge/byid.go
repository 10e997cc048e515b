package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// SessionIDOf returns the client's session, as far as this process knows: the newest one in use
// that has not ended.
func (b *Bridge) SessionIDOf(clientID string) (string, bool) { return b.clients.SessionOf(clientID) }

// ClientIDOf returns the session's client, as far as this process knows.
func (b *Bridge) ClientIDOf(sessionID string) (string, bool) { return b.clients.ClientOf(sessionID) }

// GetByID returns a snapshot of the session as it is stored now: methods that change it return
// ErrSessionClosed. ErrSessionMissing, ErrStoreUnavailable. It is no activity of the user.
func (b *Bridge) GetByID(ctx context.Context, id string) (*Session, error) {
	rec, err := b.gateway.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return b.newSnapshot(rec, ViaAPI)
}

// UpdateByID runs fn on the session as WithSession does, and can't create one: ErrSessionMissing. A
// change is activity: the idle timeout starts again.
func (b *Bridge) UpdateByID(ctx context.Context, id string, fn func(ctx context.Context, s *Session) error) error {
	s, err := b.inside(ctx, id)
	if err != nil {
		return err
	}
	if s != nil {
		return s.runInside(ctx, fn)
	}
	_, err = b.withSessionID(ctx, id, 0, &origin{via: ViaAPI}, false, fn)
	return err
}

// SetByID replaces the session's values, flashes included, and its idle timeout: an idle of 0 keeps
// that, Off switches it off. It can't create a session: ErrSessionMissing.
func (b *Bridge) SetByID(ctx context.Context, id string, values map[string]any, idle time.Duration) error {
	encoded := gateway.EncodeAll(values)
	return b.UpdateByID(ctx, id, func(_ context.Context, s *Session) error {
		if idle != 0 {
			s.SetIdleTimeout(idle)
		}
		return s.try(func() error { s.draft.Replace(encoded); return nil })
	})
}

// MergeByID sets a key of the session for each of the values, and deletes those whose value is the
// untyped nil; the other keys stay. A typed nil, such as a nil pointer in a variable of its type, is
// stored as null. A change is activity: the idle timeout begins anew. A value that is equal to the
// stored one is no change, and no activity. It returns a snapshot of
// the session as it is stored then; within a function of WithSession on the session, as it is to be
// stored. It can't create a session: ErrSessionMissing.
func (b *Bridge) MergeByID(ctx context.Context, id string, values map[string]any) (*Session, error) {
	encoded := gateway.EncodeAll(values)
	var merged *Session
	err := b.UpdateByID(ctx, id, func(_ context.Context, s *Session) error {
		merged = s
		return s.try(func() error {
			for key, v := range encoded {
				if values[key] == nil {
					s.draft.Delete(key)
				} else {
					s.draft.SetEncoded(key, v)
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return merged.snapshot()
}

// TouchByID restarts the session's idle timeout, as its user's activity does, and changes nothing
// else. It waits for no handler. ErrSessionMissing, ErrStoreUnavailable.
func (b *Bridge) TouchByID(ctx context.Context, id string) error {
	rec, err := b.gateway.TouchNow(ctx, id)
	if err == nil {
		b.tracker.Learn(&rec)
	}
	return err
}

// DestroyByID ends the session, and reports whether there was one. It waits for no handler. When it
// returns, the session's connections in this process are being closed.
func (b *Bridge) DestroyByID(ctx context.Context, id string) (bool, error) {
	clientID, known := b.clients.ClientOf(id)
	from := &origin{via: ViaAPI, end: &end{reason: ReasonDestroyed}}
	if !known {
		rec, err := b.gateway.Load(ctx, id)
		if err != nil && !errors.Is(err, gateway.ErrMissing) {
			return false, err
		}
		clientID, from.end.userID = rec.ClientID, rec.UserID
	}
	return b.gateway.Destroy(ctx, id, clientID, from)
}

// GetByClientID is GetByID of the client's session: the one in the store that began last, by being
// created or by a login, on whatever node. A store that is neither a store.ClientOrder nor a
// store.ClientIndex can't tell: then it is the newest that this process has seen come into use.
//
// A client is a browser, known by a cookie that proves nothing: anyone with a copy of it can begin
// a session as that client, which is then its newest. To reach a user, use the ID of a session.
// This holds for every …ByClientID method.
func (b *Bridge) GetByClientID(ctx context.Context, clientID string) (*Session, error) {
	id, err := b.findByClient(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return b.GetByID(ctx, id)
}

// UpdateByClientID is UpdateByID of the client's session.
func (b *Bridge) UpdateByClientID(
	ctx context.Context, clientID string, fn func(ctx context.Context, s *Session) error,
) error {
	id, err := b.findByClient(ctx, clientID)
	if err != nil {
		return err
	}
	return b.UpdateByID(ctx, id, fn)
}

// SetByClientID is SetByID of the client's session.
func (b *Bridge) SetByClientID(ctx context.Context, clientID string, values map[string]any, idle time.Duration) error {
	id, err := b.findByClient(ctx, clientID)
	if err != nil {
		return err
	}
	return b.SetByID(ctx, id, values, idle)
}

// DestroyByClientID is DestroyByID of the client's session.
func (b *Bridge) DestroyByClientID(ctx context.Context, clientID string) (bool, error) {
	id, err := b.findByClient(ctx, clientID)
	if errors.Is(err, ErrSessionMissing) && !errors.Is(err, ErrUnsupported) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return b.DestroyByID(ctx, id)
}

// findByClient returns the client's session. It asks the store: the map of this process may lack
// changes of other processes.
func (b *Bridge) findByClient(ctx context.Context, clientID string) (string, error) {
	if b.gateway.FindsClients() {
		rec, err := b.gateway.NewestOfClient(ctx, clientID)
		return rec.ID, err
	}
	if id, ok := b.clients.SessionOf(clientID); ok {
		return id, nil
	}
	return "", fmt.Errorf("%w: the client has no session that this process has seen in use, "+
		"and the store can't look further (%w: store.ClientOrder, store.ClientIndex)",
		ErrSessionMissing, ErrUnsupported)
}

// NotifyStoreSet reports a change of the session that the application has stored directly, and
// updates the map of clients.
func (b *Bridge) NotifyStoreSet(id string, isNew bool) {
	b.tracker.StoredDirectly(id, isNew, string(ViaStore))
}

// NotifyStoreDestroy reports a session that the application has destroyed in the store directly,
// and closes its connections.
func (b *Bridge) NotifyStoreDestroy(id string) {
	b.ends.Add(id, string(ReasonDestroyed))
	b.gateway.InOrder(id, func(later *gateway.Later) {
		b.removeSession(gateway.End{ID: id, Later: later}, &origin{via: ViaStore, end: &end{reason: ReasonDestroyed}})
	})
}

// NotifyStoreCleanup reports that the application has removed n expired sessions from the store
// directly. A negative n is ignored.
func (b *Bridge) NotifyStoreCleanup(n int) {
	if n >= 0 && b.events.Active() {
		b.events.Emit(Cleanup{Cleared: n})
	}
}

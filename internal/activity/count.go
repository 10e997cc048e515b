package activity

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Totals counts what was active within a time.
type Totals struct {
	Users    int // different users
	Sessions int // that haven't ended or expired since
	Conns    int // open now on those sessions, on every node
}

// Count counts what was active within the time before now, which is more than 0.
func (a *Activity) Count(ctx context.Context, within time.Duration) (Totals, error) {
	now := gateway.Now()
	r, err := a.recent(ctx, now, within, true)
	if err != nil {
		return Totals{}, err
	}
	var t Totals
	var users []string
	count := func(since time.Time, counts func(id string) bool) error {
		all, err := a.cfg.Gateway.Active(ctx, since, now)
		if err != nil {
			return err
		}
		for active, err := range all {
			if err != nil {
				return gateway.Unavailable(ctx, "list the active sessions", err)
			}
			if !counts(active.ID) {
				continue
			}
			delete(r.active, active.ID)
			t.Sessions++
			t.Conns += a.cfg.ConnsOf(active.ID) + r.conns[active.ID]
			if active.UserID != "" {
				users = append(users, active.UserID)
			}
		}
		return nil
	}
	err = count(r.since, func(string) bool { return true })
	if err == nil && len(r.active) > 0 {
		err = count(r.recorded, func(id string) bool { _, unrecorded := r.active[id]; return unrecorded })
	}
	if err != nil {
		return Totals{}, err
	}
	different := make(map[string]struct{}, len(users)) // to grow it would take longer than all the rest
	for _, user := range users {
		different[user] = struct{}{}
	}
	t.Users = len(different)
	return t, r.silent
}

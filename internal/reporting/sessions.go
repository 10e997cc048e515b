package reporting

import (
	"context"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Commit returns a function that writes the audit lines of a change: a new session, a login, a new
// token. It returns nil for other changes. addr and via say where it came from.
func (r *Reporter) Commit(c *gateway.Commit, addr, via string) func() {
	if !c.IsNew && !c.Rotated {
		return nil
	}
	s := Subject{
		SessionID: c.Record.ID, ClientID: c.Record.ClientID, UserID: c.Record.UserID, Addr: addr, Via: via,
	}
	isNew, isLogin, renewed, previous := c.IsNew, c.Login, c.Record.Renewal == store.RenewalSent, c.PrevUserID
	return func() {
		ctx := context.Background()
		if isNew {
			r.Audit(ctx, slog.LevelInfo, "session created", s)
		}
		switch {
		case isLogin && previous != "" && previous != s.UserID:
			r.Audit(ctx, slog.LevelInfo, "user logged in", s, slog.Any("previous_user", r.cfg.Key.ID(previous)))
		case isLogin:
			r.Audit(ctx, slog.LevelInfo, "user logged in", s)
		case isNew:
		case renewed:
			r.Audit(ctx, slog.LevelInfo, "token renewed", s)
		default:
			r.Audit(ctx, slog.LevelInfo, "token rotated", s)
		}
	}
}

// End writes the audit line of a session's end.
func (r *Reporter) End(s Subject, reason string) {
	r.Audit(context.Background(), slog.LevelInfo, "session ended", s, slog.String("reason", reason))
}

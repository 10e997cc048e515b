package logins

import (
	"context"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

// maxEvicted is how many sessions a new session destroys: one as a rule, more if a client had them
// before there was a limit.
const maxEvicted = 16

// Created destroys the sessions without a user that the client of s has beyond Config.PerClient,
// after s was created without a user: those that began first, but none that has connections. A copy
// of the client cookie lets a stranger create sessions; it must not let them end the session of a
// page that is open.
func (l *Limits) Created(ctx context.Context, s Session) {
	if l.cfg.PerClient <= 0 {
		return
	}
	ids, err := l.surplus(ctx, s.ClientID, l.cfg.PerClient)
	if err == nil && slices.Contains(ids, s.ID) { // its clock is slow, or others began in the same millisecond
		ids, err = l.surplus(ctx, s.ClientID, l.cfg.PerClient-1)
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == s.ID })
	}
	if err == nil {
		clientID := s.ClientID
		err = l.evict(ctx, s, ids[:min(len(ids), maxEvicted)], func(rec *store.Record) bool {
			return rec.UserID == "" && rec.ClientID == clientID
		})
	}
	l.report(ctx, s, "end the sessions that a client has beyond Options.MaxSessionsPerClient", err)
}

// surplus returns the client's sessions without a user that are to end: those beyond the keep that
// began last, without those that have connections. Sessions with connections don't hide later ones.
func (l *Limits) surplus(ctx context.Context, clientID string, keep int) ([]string, error) {
	const n = maxEvicted + 1 // the new one may be among them
	found, err := l.cfg.Gateway.SurplusOfClient(ctx, clientID, keep, n)
	full := len(found) == n
	ids := slices.DeleteFunc(found, l.cfg.HasConns)
	if err == nil && full && len(ids) == 0 {
		ids, err = l.cfg.Gateway.SurplusOfClient(ctx, clientID, keep, n+l.cfg.CountConns(clientID))
		ids = slices.DeleteFunc(ids, l.cfg.HasConns)
	}
	return ids, err
}

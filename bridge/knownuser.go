package bridge

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

// defaultKnownSessions limits the map of clients to about 25 MB.
const defaultKnownSessions = 100_000

// noticeLogin reports the login of rec, which was just loaded, to subscribers if another process
// has made it and this one has not reported it yet.
func (b *Bridge) noticeLogin(ctx context.Context, rec *store.Record) {
	if !b.clients.LoginIsNew(rec.ID, rec.LoginGeneration) {
		return
	}
	_ = b.gateway.ReportIf(ctx, rec.ID,
		func() bool { return b.clients.LoginIsNew(rec.ID, rec.LoginGeneration) },
		func(now *store.Record) { b.tellElsewhere(now, false) })
}

// tellElsewhere notes who is logged in to a session that another process has stored. It reports a
// login to subscribers; with accessed, also a change without one. The session's commit lock is
// held.
func (b *Bridge) tellElsewhere(now *store.Record, accessed bool) {
	prev, login := b.clients.SetLogin(now.ID, now.UserID, now.LoginGeneration)
	if (login || accessed) && b.events.Active() && b.clients.Attached(now.ID) {
		b.events.Emit(SessionSet{
			ClientID: now.ClientID, SessionID: now.ID, UserID: now.UserID, PrevUserID: prev,
			Login: login, Rotated: true, Via: ViaNode,
		})
	}
}

package bridge

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

// The map of clients also knows who is logged in to the sessions in it: a session that has ended can't be asked any more, and other processes
// log in, too. Only a login changes the user, and each has a higher generation than the one before: an older record changes nothing.

// learn notes who is logged in to a session that is mapped. With login, rec tells of a login that the map didn't know of, after one of prev. The session's commit lock is held.
func (m *clientMap) learn(rec *store.Record) (prev string, login bool) {
	if !m.behind(rec) {
		return "", false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.bySession[rec.ID]
	if known == nil {
		return "", false
	}
	prev = known.userID
	known.userID, known.login = rec.UserID, rec.LoginGeneration
	return prev, true
}

// behind reports whether the session is mapped, and rec tells of a login that the map doesn't know of.
func (m *clientMap) behind(rec *store.Record) bool {
	if rec.LoginGeneration == 0 {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	known := m.bySession[rec.ID]
	return known != nil && known.login < rec.LoginGeneration
}

// userOf returns who is logged in to a session, as far as is known; "" for nobody.
func (m *clientMap) userOf(sessionID string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		return known.userID
	}
	return ""
}

// whileAttached calls tell if the session is mapped, and not taken out before tell has returned: what tell enqueues comes before the session's end. tell must be quick.
func (m *clientMap) whileAttached(sessionID string, tell func(clientID, userID string)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		tell(known.clientID, known.userID)
	}
}

// noticeLogin tells subscribers of a login by another process that rec, which was just loaded, tells of, unless that is known here.
func (b *Bridge) noticeLogin(ctx context.Context, rec *store.Record) {
	if !b.clients.behind(rec) {
		return
	}
	_ = b.gateway.ReportIf(ctx, rec.ID, func() bool { return b.clients.behind(rec) }, func(now *store.Record) { b.tellElsewhere(now, false) })
}

// tellElsewhere notes who is logged in to a session that another process has stored, and tells subscribers of a login; with accessed, also if there is none. The
// session's commit lock is held.
func (b *Bridge) tellElsewhere(now *store.Record, accessed bool) {
	prev, login := b.clients.learn(now)
	if (login || accessed) && b.events.active() && b.clients.attached(now.ID) {
		b.events.emit(SessionSet{
			ClientID: now.ClientID, SessionID: now.ID, UserID: now.UserID, PrevUserID: prev, Login: login, Rotated: true, Via: ViaNode,
		})
	}
}

package registry

import (
	"cmp"
	"slices"

	"github.com/sessionbridge/sessionbridge/store"
)

// Part parts the connection from its session.
func (r *Registry[L]) Part(l L) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave(r.cfg.Entry(l))
}

// PartSession parts all connections from a session that is over, and returns them. They are to be
// closed with c; with the zero Close they stay open.
func (r *Registry[L]) PartSession(id string, c Close) []L {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.bySession[id]
	if s == nil {
		return nil
	}
	userID := s.userID
	r.forget(id, s)
	for _, l := range s.members {
		e := r.cfg.Entry(l)
		e.linked, e.parted, e.userID = false, &c, cmp.Or(userID, e.userID)
	}
	return s.members
}

// shutOut takes over the login and the binding to a device of a record, and returns the connections of
// the session that have proved neither: those of a login in another process, for example. The lock is
// held.
func (r *Registry[L]) shutOut(s *session[L], rec *store.Record) (stale []L) {
	if rec.LoginGeneration > s.login {
		s.login = rec.LoginGeneration
		for _, l := range s.members {
			if ShutOut(r.cfg.Entry(l).proved, rec.LoginGeneration) {
				stale = append(stale, l)
			}
		}
	}
	if device := r.know(s, rec); device > s.device {
		s.device = device
		for _, l := range s.members {
			if e := r.cfg.Entry(l); e.device < device && !ShutOut(e.proved, s.login) {
				stale = append(stale, l)
			}
		}
	}
	return stale
}

// PartOlder is called after a login, or for a new session of the client. It parts the connections
// that are shut out from their sessions, and returns them: those of the client with another session
// or none, as often as the client's allowance permits, and those of the session that have proved an
// older token. internal/tracking/tracker.go decides when (Committed, Learn).
func (r *Registry[L]) PartOlder(rec *store.Record) (older []L) {
	r.mu.Lock()
	defer r.mu.Unlock()
	part := func(l L) {
		r.leave(r.cfg.Entry(l))
		over := r.cfg.Reconnect
		r.cfg.Entry(l).parted = &over
		older = append(older, l)
	}
	for _, l := range r.outsiders(rec) {
		part(l)
	}
	if s := r.bySession[rec.ID]; s != nil { // of the session, whichever their client
		for _, l := range slices.Clone(s.members) {
			if ShutOut(r.cfg.Entry(l).proved, rec.LoginGeneration) {
				part(l)
			}
		}
	}
	return older
}

// PartOutsider parts a connection from its session because its client has got another one during
// the handshake. It returns false if the client's allowance is used up: the connection stays.
func (r *Registry[L]) PartOutsider(l L) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.cfg.Entry(l)
	if !r.cuts.allow(e.ClientID, e.linked) {
		return false
	}
	r.leave(e)
	return true
}

// outsiders returns the client's connections that are to be sent back because it has got the
// session. The allowance is used once for all that have another session, and once for all that have
// none. The lock is held.
func (r *Registry[L]) outsiders(rec *store.Record) (of []L) {
	var proved, bare []L // with another session, and without one
	for _, l := range r.byClient[rec.ClientID] {
		switch r.cfg.Entry(l).session() {
		case rec.ID:
		case "":
			bare = append(bare, l)
		default:
			proved = append(proved, l)
		}
	}
	if len(bare) > 0 && r.cuts.allowAll(rec) {
		of = bare
	}
	if len(proved) > 0 && r.cuts.allow(rec.ClientID, true) {
		of = append(of, proved...)
	}
	return of
}

// MayAwait reports whether a connection that has no session may be sent back for this one, whose
// cookies its browser may not have yet.
func (r *Registry[L]) MayAwait(rec *store.Record) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cuts.allowAll(rec)
}

// Follow moves all connections of the client to its session. It parts those beyond the session's
// limit, and those that are Fixed to another session, and returns them.
func (r *Registry[L]) Follow(clientID, sessionID string) (fixed, tooMany []L) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.byClient[clientID] {
		e := r.cfg.Entry(l)
		if e.session() == sessionID {
			continue
		}
		r.leave(e)
		if e.Fixed {
			over := r.cfg.Reconnect
			e.parted = &over
			fixed = append(fixed, l)
			continue
		}
		e.userID = "" // that of another session
		r.enter(l, sessionID)
	}
	return fixed, r.partTooMany(sessionID)
}

package registry

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

// SessionOf returns the connection's session, "" for none, and the generation of the token that the
// connection has proved.
func (r *Registry[L]) SessionOf(e *Entry) (id string, proved uint64) {
	defer r.mu.RLock(e.ID).RUnlock()
	return e.session(), e.proved
}

// LastOf returns the connection's session, "" for none, the session that it had last, and whether
// it has lost that because the session has ended.
func (r *Registry[L]) LastOf(e *Entry) (id, last string, ended bool) {
	defer r.mu.RLock(e.ID).RUnlock()
	return e.session(), e.lastID, e.parted != nil && *e.parted != r.cfg.Reconnect
}

// CloseOf returns how the connection is to be closed since it has lost its session; the zero Close:
// it isn't.
func (r *Registry[L]) CloseOf(e *Entry) Close {
	defer r.mu.RLock(e.ID).RUnlock()
	if e.parted == nil {
		return Close{}
	}
	return *e.parted
}

// State returns the connection's session and that session's user, as last known, and whether the
// connection is still registered.
func (r *Registry[L]) State(l L) (sessionID, userID string, open bool) {
	e := r.cfg.Entry(l)
	defer r.mu.RLock(e.ID).RUnlock()
	if s := r.bySession[e.session()]; s != nil {
		sessionID, userID = e.lastID, s.userID
	}
	return sessionID, userID, r.byID[e.ID] == l
}

// Get returns the connection with the ID; the zero L if there is none.
func (r *Registry[L]) Get(id string) L {
	defer r.mu.RLock(id).RUnlock()
	return r.byID[id]
}

// Has reports whether a connection has the ID.
func (r *Registry[L]) Has(id string) bool {
	defer r.mu.RLock(id).RUnlock()
	_, has := r.byID[id]
	return has
}

// WithIDs returns the connections with these IDs, each once.
func (r *Registry[L]) WithIDs(ids []string) (with []L) {
	r.mu.Lock()
	defer r.mu.Unlock()
	listed := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		_, again := listed[id]
		if l, open := r.byID[id]; open && !again {
			with = append(with, l)
		}
		listed[id] = struct{}{}
	}
	return with
}

// All returns every connection, in no order.
func (r *Registry[L]) All() []L {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.AppendSeq(make([]L, 0, len(r.byID)), maps.Values(r.byID))
}

// OfSession returns the connections of a session.
func (r *Registry[L]) OfSession(id string) []L {
	defer r.mu.RLock(id).RUnlock()
	if s := r.bySession[id]; s != nil {
		return slices.Clone(s.members)
	}
	return nil
}

// OfClient returns the connections of a client.
func (r *Registry[L]) OfClient(id string) []L {
	defer r.mu.RLock(id).RUnlock()
	return slices.Clone(r.byClient[id])
}

// OfUser returns the connections of all sessions of a user.
func (r *Registry[L]) OfUser(id string) (of []L) {
	defer r.mu.RLock(id).RUnlock()
	for s := range r.byUser[id] {
		of = append(of, s.members...)
	}
	return of
}

// FromAddr returns the connections from an address, and perhaps others of its network. known is
// false if the registry doesn't keep them by address.
func (r *Registry[L]) FromAddr(addr string) (from []L, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.byAddr[allowance.Subscriber(addr)]
	return slices.AppendSeq(make([]L, 0, len(all)), maps.Keys(all)), r.byAddr != nil
}

// HasSession reports whether the session has connections.
func (r *Registry[L]) HasSession(id string) bool {
	defer r.mu.RLock(id).RUnlock()
	return r.bySession[id] != nil
}

// UserOf returns the user of a session with connections, as last known; "" for none.
func (r *Registry[L]) UserOf(sessionID string) string {
	defer r.mu.RLock(sessionID).RUnlock()
	if s := r.bySession[sessionID]; s != nil {
		return s.userID
	}
	return ""
}

// RevisionOf returns the latest revision of the session that is known, if it has connections.
func (r *Registry[L]) RevisionOf(sessionID string) uint64 {
	defer r.mu.RLock(sessionID).RUnlock()
	if s := r.bySession[sessionID]; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.revision
	}
	return 0
}

// Count returns how many connections there are.
func (r *Registry[L]) Count() int {
	defer r.mu.RLock("").RUnlock()
	return len(r.byID)
}

// CountOfClient returns how many connections a client has.
func (r *Registry[L]) CountOfClient(id string) int {
	defer r.mu.RLock(id).RUnlock()
	return len(r.byClient[id])
}

// CountOfSession returns how many connections a session has.
func (r *Registry[L]) CountOfSession(id string) int {
	defer r.mu.RLock(id).RUnlock()
	if s := r.bySession[id]; s != nil {
		return len(s.members)
	}
	return 0
}

// Sessions returns how many connections each session has.
func (r *Registry[L]) Sessions() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[string]int, len(r.bySession))
	for id, s := range r.bySession {
		counts[id] = len(s.members)
	}
	return counts
}

// Clients returns those that have connections.
func (r *Registry[L]) Clients() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.AppendSeq(make([]string, 0, len(r.byClient)), maps.Keys(r.byClient))
}

// UserIDs returns the users who have connections.
func (r *Registry[L]) UserIDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.AppendSeq(make([]string, 0, len(r.byUser)), maps.Keys(r.byUser))
}

// Users calls do, under the registry's lock, with a function that yields the users who have
// connections, and when the oldest of them was opened.
func (r *Registry[L]) Users(do func(users func(yield func(userID string, oldest time.Duration)))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(func(yield func(string, time.Duration)) {
		for id, sessions := range r.byUser {
			oldest := time.Duration(math.MaxInt64)
			for s := range sessions {
				for _, l := range s.members {
					oldest = min(oldest, r.cfg.Entry(l).OpenedAt)
				}
			}
			yield(id, oldest)
		}
	})
}

// HasUser reports whether the user has a connection.
func (r *Registry[L]) HasUser(id string) bool {
	defer r.mu.RLock(id).RUnlock()
	return len(r.byUser[id]) > 0
}

// CountUsers returns how many users have connections.
func (r *Registry[L]) CountUsers() int {
	defer r.mu.RLock("").RUnlock()
	return len(r.byUser)
}

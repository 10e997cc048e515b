package registry

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// Registry holds the open connections. L is a pointer type.
type Registry[L comparable] struct {
	cfg       Config[L]
	mu        sync.Mutex
	byID      map[string]L
	byClient  map[string][]L
	bySession map[string]*session[L]
	byUser    map[string]map[*session[L]]struct{}
	byAddr    map[string]map[L]struct{} // nil if their number isn't limited
	cuts      cutAllowances
}

// Config is what a Registry needs. Entry, Ended, Clock and Look must be set.
type Config[L comparable] struct {
	// Entry returns the connection's, the same one for the connection's life, and Ended whether the
	// connection is over and counts no more although it is still registered. They are called while
	// the registry's lock is held.
	Entry func(L) *Entry
	Ended func(L) bool

	Clock  *clock.Clock
	Limits Limits

	// Look is called, on the clock's goroutine, when the session is to be looked at.
	Look func(sessionID string)
	// RevalidateEvery is how often a session is looked at, whatever its expiry. 0: not regularly.
	RevalidateEvery time.Duration

	// Hold and Drop are told of the first and the last connection of a session. They are called
	// while the registry's lock is held. Nil: nobody is.
	Hold, Drop func(sessionID string)

	Reconnect Close // of a connection that a login, or a new session of its client, has shut out
	Replaced  Close // of one whose place a newer one has taken
	TooMany   Close // of one that is too many in a session that it has followed its client to
}

// ErrIDInUse is the error of Add for an ID that another connection has.
var ErrIDInUse = errors.New("registry: another connection that is open has this ID")

// session is a session with connections.
type session[L comparable] struct {
	members  []L
	userID   string // "" while no user is logged in, as far as is known
	revision uint64 // of the record that says so
	login    uint64 // generation of the last login that is known: no member has proved an older token
	look     look
	activity activity
}

// New returns an empty Registry.
func New[L comparable](cfg Config[L]) *Registry[L] {
	ignore := func(string) {}
	if cfg.Hold == nil {
		cfg.Hold = ignore
	}
	if cfg.Drop == nil {
		cfg.Drop = ignore
	}
	r := &Registry[L]{
		cfg: cfg, byID: make(map[string]L), byClient: make(map[string][]L), bySession: make(map[string]*session[L]),
		byUser: make(map[string]map[*session[L]]struct{}), cuts: newCutAllowances(),
	}
	if cfg.Limits.PerAddr > 0 {
		r.byAddr = make(map[string]map[L]struct{})
	}
	return r
}

// Add registers a connection; from then on others may part it from its session. The connections
// that it returns have been parted to make room, and are to be closed as CloseOf says. Errors:
// ErrIDInUse, ErrSessionFull, ErrAddrFull.
func (r *Registry[L]) Add(l L) (evicted []L, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.cfg.Entry(l)
	if _, taken := r.byID[e.ID]; taken {
		return nil, ErrIDInUse
	}
	if evicted, err = r.makeRoom(e); err != nil {
		return nil, err
	}
	r.byID[e.ID] = l
	e.inClient = int32(len(r.byClient[e.ClientID])) //nolint:gosec // no process has two billion
	r.byClient[e.ClientID] = append(r.byClient[e.ClientID], l)
	r.enterAddr(l)
	r.enter(l, e.sessionID)
	return evicted, nil
}

// Remove takes the connection out and returns the session that it had last, and that session's
// user. It returns false if the connection was not registered.
func (r *Registry[L]) Remove(l L) (sessionID, userID string, removed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.cfg.Entry(l)
	if r.byID[e.ID] != l {
		return "", "", false
	}
	delete(r.byID, e.ID)
	list := r.byClient[e.ClientID]
	last := len(list) - 1
	moved := list[last]
	list[e.inClient], r.cfg.Entry(moved).inClient = moved, e.inClient
	clear(list[last:])
	if last == 0 {
		delete(r.byClient, e.ClientID)
	} else {
		r.byClient[e.ClientID] = list[:last]
	}
	r.leave(e)
	r.leaveAddr(l)
	return e.lastID, e.userID, true
}

// enter puts the connection into a session's list. The lock is held.
func (r *Registry[L]) enter(l L, sessionID string) {
	e := r.cfg.Entry(l)
	e.sessionID = sessionID
	if sessionID == "" {
		return
	}
	if e.lastID != "" { // otherwise Attach has named the user
		e.userID = ""
	}
	e.lastID, e.parted = sessionID, nil
	s := r.bySession[sessionID]
	if s == nil {
		s = &session[L]{}
		r.bySession[sessionID] = s
		r.cfg.Hold(sessionID)
	}
	e.inSession = int32(len(s.members)) //nolint:gosec // no process has two billion
	s.members = append(s.members, l)
}

// leave takes the connection out of its session's list. The lock is held.
func (r *Registry[L]) leave(e *Entry) {
	s := r.bySession[e.sessionID]
	if s == nil {
		return
	}
	e.userID = cmp.Or(s.userID, e.userID)
	last := len(s.members) - 1
	moved := s.members[last]
	s.members[e.inSession], r.cfg.Entry(moved).inSession = moved, e.inSession
	clear(s.members[last:])
	if s.members = s.members[:last]; last == 0 {
		r.forget(e.sessionID, s)
	}
	e.sessionID = ""
}

// forget takes a session out that has no connections any more. The lock is held.
func (r *Registry[L]) forget(id string, s *session[L]) {
	r.cfg.Clock.Remove(s.look.planned)
	delete(r.bySession, id)
	r.cfg.Drop(id)
	r.setUser(s, "")
}

// setUser notes the user of a session. The lock is held.
func (r *Registry[L]) setUser(s *session[L], userID string) {
	if s.userID == userID {
		return
	}
	if users := r.byUser[s.userID]; users != nil {
		if delete(users, s); len(users) == 0 {
			delete(r.byUser, s.userID)
		}
	}
	if s.userID = userID; userID == "" {
		return
	}
	if r.byUser[userID] == nil {
		r.byUser[userID] = make(map[*session[L]]struct{})
	}
	r.byUser[userID][s] = struct{}{}
}

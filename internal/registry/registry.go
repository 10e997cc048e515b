package registry

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/widelock"
	"github.com/sessionbridge/sessionbridge/store"
)

// Registry holds the open connections. L is a pointer type.
//
// What a message needs takes its lock for reading only, and that of one session.
type Registry[L comparable] struct {
	cfg       Config[L]
	mu        widelock.Lock
	byID      map[string]L
	leaving   map[string]*Entry         // removed, by IDs that are still taken
	byName    map[string]map[L]struct{} // without those that have given way
	byClient  map[string][]L
	bySession map[string]*session[L]
	byUser    map[string]map[*session[L]]struct{}
	byAddr    map[string]map[L]struct{} // nil if their number isn't limited
	cuts      cutAllowances
}

// Config is what a Registry needs. Entry, Ended, Clock and Look must be set.
type Config[L comparable] struct {
	// Entry returns the connection's Entry, always the same one. Ended reports whether the connection
	// is over and no longer counts, although it is still registered. Both are called under the
	// registry's lock.
	Entry func(L) *Entry
	Ended func(L) bool

	// Context returns the connection's context, which ends when the connection does. Watch has it
	// read if its handler doesn't read, and returns false if that was not necessary. Yield frees the
	// ID of a connection that is being closed, if it can. They are for AddOrProbe and AddrStaysFull.
	Context func(L) context.Context
	Watch   func(L) bool
	Yield   func(L)

	Clock  *clock.Clock
	Limits Limits

	// Look is called, on the clock's goroutine, when the session is to be looked at.
	Look func(sessionID string)
	// RevalidateEvery is how often a session is looked at, whatever its expiry. 0: not regularly.
	RevalidateEvery time.Duration

	// Device returns the generation of the login whose binding to a device is in force, and when the
	// proof of that device is too old, unless there is another one; 0 for a session that isn't bound.
	// It is called under the registry's lock. Nil: no session is bound.
	Device func(rec *store.Record) (login uint64, over time.Time)

	// Hold is called for the first connection of a session, and Drop after its last, both under the
	// registry's lock. They may be nil.
	Hold, Drop func(sessionID string)
	// Online is called, under the registry's lock, when a user gets the first connection here, or has
	// lost the last. It may be nil.
	Online func(userID string, online bool)

	Reconnect Close // of a connection that a login, or a new session of its client, has shut out
	Replaced  Close // of one whose place a newer one has taken
	TooMany   Close // of one that is too many in a session that it has followed its client to
}

// Errors of Add for an ID or a name that another connection has.
var (
	ErrIDInUse   = errors.New("registry: another connection that is open has this ID")
	ErrNameInUse = errors.New("registry: another connection that is open has this name")
)

// session is a session with connections.
type session[L comparable] struct {
	members []L
	userID  string // "" while no user is logged in, as far as is known
	login   uint64 // generation of the last login that is known: no member has proved an older token
	device  uint64 // of the last binding that is known, see Config.Device: each member has proved it

	mu       sync.Mutex // guards these for those that hold the registry's lock for reading only
	revision uint64     // of the record that says who the user is
	look     look
	activity activity
}

// New returns an empty Registry.
func New[L comparable](cfg Config[L]) *Registry[L] {
	ignore := func(string) {}
	if cfg.Device == nil {
		cfg.Device = func(*store.Record) (login uint64, over time.Time) { return login, over }
	}
	if cfg.Hold == nil {
		cfg.Hold = ignore
	}
	if cfg.Drop == nil {
		cfg.Drop = ignore
	}
	if cfg.Online == nil {
		cfg.Online = func(string, bool) {}
	}
	r := &Registry[L]{
		cfg: cfg, byID: make(map[string]L), leaving: make(map[string]*Entry),
		byName: make(map[string]map[L]struct{}), byClient: make(map[string][]L),
		bySession: make(map[string]*session[L]), byUser: make(map[string]map[*session[L]]struct{}),
		cuts: newCutAllowances(),
	}
	if cfg.Limits.PerAddr > 0 {
		r.byAddr = make(map[string]map[L]struct{})
	}
	return r
}

// Add registers a connection; from then on others may part it from its session. The connections
// that it returns have been parted to make room, and are to be closed as CloseOf says. Errors:
// ErrIDInUse, ErrNameInUse, ErrSessionFull, ErrAddrFull.
func (r *Registry[L]) Add(l L) (evicted []L, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.cfg.Entry(l)
	if r.entryOf(e.ID) != nil {
		return nil, ErrIDInUse
	}
	namesakes, err := r.namesakes(e)
	if err != nil {
		return nil, err
	}
	if evicted, err = r.makeRoom(e, namesakes); err != nil {
		return nil, err
	}
	r.byID[e.ID] = l
	r.enterName(l)
	e.inClient = int32(len(r.byClient[e.ClientID])) //nolint:gosec // no process has two billion
	r.byClient[e.ClientID] = append(r.byClient[e.ClientID], l)
	r.enterAddr(l)
	r.enter(l, e.session())
	return evicted, nil
}

// entryOf returns the Entry of the connection that has taken the ID, or nil. The lock is held.
func (r *Registry[L]) entryOf(id string) *Entry {
	if l, open := r.byID[id]; open {
		return r.cfg.Entry(l)
	}
	return r.leaving[id]
}

// Remove takes the connection out and returns the session that it had last, and that session's
// user. It returns false if the connection was not registered. Its ID stays taken until the caller,
// who has got true, calls Free: so nothing is reported of the next connection with this ID before
// the end of this one.
func (r *Registry[L]) Remove(l L) (sessionID, userID string, removed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.cfg.Entry(l)
	if r.byID[e.ID] != l {
		return "", "", false
	}
	delete(r.byID, e.ID)
	r.leaving[e.ID] = e
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
	r.leaveName(l)
	return e.lastID, e.userID, true
}

// Free releases the ID of a connection that the caller has removed.
func (r *Registry[L]) Free(l L) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.cfg.Entry(l)
	if r.leaving[e.ID] != e {
		return
	}
	delete(r.leaving, e.ID)
	if e.freed != nil {
		close(e.freed)
	}
}

// enter puts the connection into a session's list. The lock is held.
func (r *Registry[L]) enter(l L, sessionID string) {
	e := r.cfg.Entry(l)
	if sessionID == "" {
		return
	}
	e.lastID, e.linked, e.parted = sessionID, true, nil
	s := r.bySession[sessionID]
	if s == nil {
		s = &session[L]{}
		r.bySession[sessionID] = s
		r.setUser(s, e.userID) // until Learn knows better
		r.cfg.Hold(sessionID)
	}
	e.inSession = int32(len(s.members)) //nolint:gosec // no process has two billion
	s.members = append(s.members, l)
}

// leave takes the connection out of its session's list. The lock is held.
func (r *Registry[L]) leave(e *Entry) {
	s := r.bySession[e.session()]
	if s == nil {
		return
	}
	e.userID = cmp.Or(s.userID, e.userID)
	last := len(s.members) - 1
	moved := s.members[last]
	s.members[e.inSession], r.cfg.Entry(moved).inSession = moved, e.inSession
	clear(s.members[last:])
	if s.members = s.members[:last]; last == 0 {
		r.forget(e.session(), s)
	}
	e.linked = false
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
			r.cfg.Online(s.userID, false)
		}
	}
	if s.userID = userID; userID == "" {
		return
	}
	if r.byUser[userID] == nil {
		r.byUser[userID] = make(map[*session[L]]struct{})
		r.cfg.Online(userID, true)
	}
	r.byUser[userID][s] = struct{}{}
}

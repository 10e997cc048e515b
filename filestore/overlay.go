package filestore

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// version is the state of a session that is newer than the database's.
type version struct {
	value value // nil: the session was destroyed
	due   int64 // of its entry in the index by expiry, at its expiry or before; never: it has none
}

// slot is a session in an overlay. Only the committer writes it.
type slot struct {
	current atomic.Pointer[version] // nil: none is visible yet
	pending *version                // becomes current when its group is durable; the committer's
	base    base
}

// place returns where the indexes have the session.
func (v *version) place() place { return place{v.due, granuleOf(v.value.seen()), v.value} }

// base is where the indexes of the database have a session before the overlay is written there.
type base struct {
	place       // a nil owner stands for that of the session in the overlay
	known  bool // false: it must be looked up
	exists bool

	// former has the places of versions that an interrupted checkpoint may have written to the
	// indexes. Checkpoints write the sessions last, so that the database doesn't have these
	// versions, but the log does. A nil owner stands for that of the version before.
	former []place
}

func baseOf(v *version) base {
	if v == nil {
		return base{known: true}
	}
	return base{known: true, exists: true, place: place{due: v.due, granule: granuleOf(v.value.seen())}}
}

// overlay holds the sessions of a space that were changed since a moment. They are in the log, and
// not in the database yet. The committer writes it, any goroutine may read it.
type overlay struct {
	shards [overlayShards]overlayShard

	// The keys of sessions that the database's indexes don't lead to. Sessions may have changed
	// since they were added, so readers must check what they find.
	mu      sync.Mutex
	users   map[string][]string // by user
	clients map[string][]string // by client
	created []string
	due     []dueEntry // with another entry in the index by expiry
	minDue  int64      // the earliest of due
}

type overlayShard struct {
	mu    sync.RWMutex
	slots map[string]*slot
	_     [4]uint64 // keeps the locks of two shards on different cache lines
}

type dueEntry struct {
	at  int64
	key string
}

const overlayShards = 32

var hashSeed = maphash.MakeSeed()

func newOverlay() *overlay { return &overlay{minDue: never} }

func (o *overlay) shard(key []byte) *overlayShard {
	return &o.shards[maphash.Bytes(hashSeed, key)%overlayShards]
}

// find returns the current version of the session; nil: there is none. A nil overlay is empty.
func (o *overlay) find(key []byte) *version {
	if o == nil {
		return nil
	}
	sh := o.shard(key)
	sh.mu.RLock()
	s := sh.slots[string(key)]
	sh.mu.RUnlock()
	if s == nil {
		return nil
	}
	return s.current.Load()
}

// latest is find for the committer, and includes pending versions. It needs no lock, because only
// the committer writes.
func (o *overlay) latest(key []byte) *version {
	if o == nil {
		return nil
	}
	s := o.shard(key).slots[string(key)]
	switch {
	case s == nil:
		return nil
	case s.pending != nil:
		return s.pending
	}
	return s.current.Load()
}

// stage makes v the pending version of the session.
func (o *overlay) stage(key []byte, v *version) (s *slot, isNew bool) {
	sh := o.shard(key)
	s = sh.slots[string(key)]
	isNew = s == nil
	if isNew {
		s = &slot{}
		sh.mu.Lock()
		if sh.slots == nil {
			sh.slots = make(map[string]*slot)
		}
		sh.slots[string(key)] = s
		sh.mu.Unlock()
	}
	s.pending = v
	return s, isNew
}

// publish makes the pending version visible.
func (s *slot) publish() {
	if s.pending != nil {
		s.current.Store(s.pending)
		s.pending = nil
	}
}

// indexNames adds the session to users, clients and created, as far as the database's indexes don't
// lead to the new version. old is nil for a new session.
func (o *overlay) indexNames(key []byte, old, v *version, sameUser, sameClient bool) {
	if old != nil && sameUser && sameClient {
		return
	}
	name := string(key)
	user, client := v.value.owner()
	o.mu.Lock()
	defer o.mu.Unlock()
	if old == nil {
		o.created = append(o.created, name)
	}
	if old == nil || !sameUser {
		o.users = addName(o.users, user, name)
	}
	if old == nil || !sameClient {
		o.clients = addName(o.clients, client, name)
	}
}

// indexDue is indexNames for due.
func (o *overlay) indexDue(key []byte, old, v *version) {
	if v.due == never || (old != nil && old.due == v.due) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.due = append(o.due, dueEntry{v.due, string(key)})
	o.minDue = min(o.minDue, v.due)
}

func addName(names map[string][]string, name []byte, key string) map[string][]string {
	if len(name) == 0 {
		return names
	}
	if names == nil {
		names = make(map[string][]string)
	}
	names[string(name)] = append(names[string(name)], key)
	return names
}

// all calls fn with each session that has a current version.
func (o *overlay) all(fn func(key string, s *slot, v *version)) {
	for i := range o.shards {
		sh := &o.shards[i]
		sh.mu.RLock()
		for key, s := range sh.slots {
			if v := s.current.Load(); v != nil {
				fn(key, s, v)
			}
		}
		sh.mu.RUnlock()
	}
}

// dueBy returns the entries of due at or before now, and removes those that are out of date.
func (o *overlay) dueBy(now int64) (due []dueEntry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.minDue > now {
		return nil
	}
	o.minDue = never
	o.due = slices.DeleteFunc(o.due, func(e dueEntry) bool {
		v := o.find([]byte(e.key))
		if v != nil && (v.value == nil || v.due != e.at) {
			return true
		}
		o.minDue = min(o.minDue, e.at)
		if e.at <= now {
			due = append(due, e)
		}
		return false
	})
	return due
}

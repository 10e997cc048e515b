package filestore

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// version is what a session is now, as far as that is newer than the database.
type version struct {
	value value // nil: it was destroyed
	due   int64 // where the index by expiry has an entry for it, at or before its expiry; never: it has none
}

// slot is a session in an overlay. The committer alone writes it, as long as it does.
type slot struct {
	current atomic.Pointer[version] // what everybody sees; nil: nothing yet
	pending *version                // what is about to be durable; the committer's
	base    base
}

// base is what the database will have for a session when the overlay is brought into it, as far as its indexes have to know.
type base struct {
	known   bool // otherwise it must be looked up
	exists  bool
	granule uint32
	due     int64
	owner   value // whose user and client it has; nil: those that the session has in the overlay

	former []former // after a crash midway through a checkpoint: which entries of the indexes there may be as well
}

// former is a version that a checkpoint may have brought into the indexes before it was interrupted. The sessions are written
// last: the database can't tell, but every version that there was is in the log.
type former struct {
	due, expiry int64 // the sweep may have moved the entry from one to the other
	granule     uint32
	owner       value // nil: no other than the version before it
}

func baseOf(v *version) base {
	if v == nil {
		return base{known: true}
	}
	return base{known: true, exists: true, granule: granuleOf(v.value.seen()), due: v.due}
}

// overlay holds the sessions of a space that were changed since a moment: what the log says and the database doesn't yet.
// The committer writes, everybody reads. Sessions go by their keys, as appendID makes them.
type overlay struct {
	shards [overlayShards]overlayShard

	// Sessions that an index of the database doesn't lead to: they may have left again, so what is found here must be looked at.
	mu      sync.Mutex
	users   map[string][]string // keys by user
	clients map[string][]string // keys by client
	created []string            // those that were not there before
	due     []dueEntry          // whose entry in the index by expiry is here
	minDue  int64               // the earliest of them
}

type overlayShard struct {
	mu    sync.RWMutex
	slots map[string]*slot
	_     [4]uint64 // two locks on one cache line would wait for one another
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

// find returns the session's current version here; nil if there is none. A nil overlay is empty.
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

// latest is find for the committer, who knows what is pending. It needs no lock: nobody else writes.
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

// stage makes v the pending version of the session, which is new here or not.
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

// publish shows the pending version to everybody.
func (s *slot) publish() {
	if s.pending != nil {
		s.current.Store(s.pending)
		s.pending = nil
	}
}

// indexNames notes which indexes by name don't lead to the new version; old is nil for a session that is new.
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

// indexDue is indexNames for the index by expiry.
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

// all calls fn for each session with its current version.
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

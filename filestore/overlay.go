package filestore

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// version is what a session is now, as far as that is newer than the database.
type version struct {
	value value // nil: it was destroyed
	due   int64 // where the index by expiry has an entry for it, at or before its expiry; never: it has none
}

// slot is a session in an overlay. The committer alone writes it.
type slot struct {
	current atomic.Pointer[version] // what everybody sees; nil: nothing yet
	pending *version                // what is about to be durable; the committer's
}

// overlay holds the sessions of a space that were changed since a moment: what the log says and the database doesn't yet.
// The committer writes, everybody reads.
type overlay struct {
	shards [overlayShards]overlayShard

	// Sessions that an index of the database doesn't lead to: they may have left again, so what is found here must be looked at.
	mu      sync.Mutex
	users   map[string][]string // by user
	clients map[string][]string // by client
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
	at int64
	id string
}

const overlayShards = 32

var hashSeed = maphash.MakeSeed()

func newOverlay() *overlay { return &overlay{minDue: never} }

func (o *overlay) shard(id string) *overlayShard {
	return &o.shards[maphash.String(hashSeed, id)%overlayShards]
}

// find returns the session's current version here; nil if there is none. A nil overlay is empty.
func (o *overlay) find(id string) *version {
	if o == nil {
		return nil
	}
	sh := o.shard(id)
	sh.mu.RLock()
	s := sh.slots[id]
	sh.mu.RUnlock()
	if s == nil {
		return nil
	}
	return s.current.Load()
}

// latest is find for the committer, who knows what is pending. It needs no lock: nobody else writes.
func (o *overlay) latest(id string) *version {
	if o == nil {
		return nil
	}
	s := o.shard(id).slots[id]
	switch {
	case s == nil:
		return nil
	case s.pending != nil:
		return s.pending
	}
	return s.current.Load()
}

// stage makes v the pending version of the session, which is new here or not.
func (o *overlay) stage(id string, v *version) (s *slot, isNew bool) {
	sh := o.shard(id)
	s = sh.slots[id]
	isNew = s == nil
	if isNew {
		s = &slot{}
		id = strings.Clone(id) // it may be a small part of something large
		sh.mu.Lock()
		if sh.slots == nil {
			sh.slots = make(map[string]*slot)
		}
		sh.slots[id] = s
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

// index notes which indexes of the database don't lead to the new version; old is nil for a session that is new.
func (o *overlay) index(id string, old, v *version) {
	newDue := v.due != never && (old == nil || old.due != v.due)
	var user, client []byte
	if old == nil {
		user, client = v.value.owner()
	} else {
		wasUser, wasClient := old.value.owner()
		user, client = v.value.owner()
		if string(user) == string(wasUser) {
			user = nil
		}
		if string(client) == string(wasClient) {
			client = nil
		}
	}
	if old != nil && !newDue && len(user) == 0 && len(client) == 0 {
		return
	}
	id = strings.Clone(id)
	o.mu.Lock()
	defer o.mu.Unlock()
	if old == nil {
		o.created = append(o.created, id)
	}
	if newDue {
		o.due = append(o.due, dueEntry{v.due, id})
		o.minDue = min(o.minDue, v.due)
	}
	o.users = addName(o.users, user, id)
	o.clients = addName(o.clients, client, id)
}

func addName(names map[string][]string, name []byte, id string) map[string][]string {
	if len(name) == 0 {
		return names
	}
	if names == nil {
		names = make(map[string][]string)
	}
	names[string(name)] = append(names[string(name)], id)
	return names
}

// all calls fn for each session with its current version.
func (o *overlay) all(fn func(id string, v *version)) {
	if o == nil {
		return
	}
	for i := range o.shards {
		sh := &o.shards[i]
		sh.mu.RLock()
		for id, s := range sh.slots {
			if v := s.current.Load(); v != nil {
				fn(id, v)
			}
		}
		sh.mu.RUnlock()
	}
}

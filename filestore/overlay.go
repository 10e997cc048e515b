package filestore

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
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

// base is where the indexes of the database have a session before the overlay is written there.
type base struct {
	place       // a nil owner stands for that of the session in the overlay
	known  bool // false: it must be looked up
	exists bool

	// former has the places of versions that an interrupted checkpoint may have written to the
	// indexes, but not as sessions. A nil owner stands for that of the version before.
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

	// The keys of sessions that the database's indexes don't lead to. Readers check what they find,
	// because sessions may have changed since.
	mu     sync.Mutex
	owned  map[string][]string // by the prefix of their keys in the indexes by user and by client
	due    []moment            // with another entry in the index by expiry
	minDue int64               // the earliest of due
}

type overlayShard struct {
	mu    sync.RWMutex
	slots map[string]*slot
	_     [4]uint64 // keeps the locks of two shards on different cache lines
}

// moment is a time by which sessions are sorted: when one was seen, began, or is due.
type moment struct {
	at  int64
	key string
}

const overlayShards = 32

var hashSeed = maphash.MakeSeed()

func newOverlay() *overlay {
	return &overlay{minDue: never, owned: make(map[string][]string)}
}

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
	s := o.shard(key).slots[string(key)]
	if s == nil {
		return nil
	}
	return cmp.Or(s.pending, s.current.Load())
}

// stage makes v the pending version of the session.
func (o *overlay) stage(key []byte, v *version) (s *slot, isNew bool) {
	sh := o.shard(key)
	s = sh.slots[string(key)]
	if isNew = s == nil; isNew {
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

// indexOwner adds the session to owned. It need not be called if the user and the client are those of
// the version before.
func (o *overlay) indexOwner(key []byte, v *version) {
	var room [64]byte
	name := string(key)
	user, client := v.value.owner()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(user) > 0 {
		prefix := userKey(room[:0], user, nil)
		o.owned[string(prefix)] = append(o.owned[string(prefix)], name)
	}
	if len(client) > 0 {
		prefix := clientKey(room[:0], client, v.value.uuidClient(), nil)
		o.owned[string(prefix)] = append(o.owned[string(prefix)], name)
	}
}

// indexDue adds the session to due if the database's index may not lead to the new version. old is
// nil for a new session.
func (o *overlay) indexDue(key []byte, old, v *version) {
	if v.due == never || (old != nil && old.due == v.due) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.due = append(o.due, moment{v.due, string(key)})
	o.minDue = min(o.minDue, v.due)
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

// dueBy returns the sessions with entries of due at or before now, and removes the entries that are
// out of date.
func (o *overlay) dueBy(now int64) (due []*overdue) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.minDue > now {
		return nil
	}
	o.minDue = never
	o.due = slices.DeleteFunc(o.due, func(e moment) bool {
		v := o.find([]byte(e.key))
		if v == nil || v.value == nil || v.due != e.at {
			return true
		}
		o.minDue = min(o.minDue, e.at)
		if e.at <= now {
			due = append(due, &overdue{key: []byte(e.key), at: e.at, expires: v.value.expiry()})
		}
		return false
	})
	return due
}

// space is the sessions of one app.
type space struct {
	name    string
	buckets bucketNames

	// The versions that are newer than the database.
	layers atomic.Pointer[layers]

	swept atomic.Pointer[sweepMark]
}

// layers are two overlays, which are replaced together; frozen may be nil. freeze and thaw are
// never called at the same time.
type layers struct{ active, frozen *overlay }

func newSpace(name string) *space {
	sp := &space{name: name, buckets: namesOf(name)}
	sp.layers.Store(&layers{active: newOverlay()})
	return sp
}

// overlays returns the overlays, the newer one first.
func (sp *space) overlays() []*overlay {
	l := sp.layers.Load()
	if l.frozen == nil {
		return []*overlay{l.active}
	}
	return []*overlay{l.active, l.frozen}
}

// changes returns the newest version of each session in the overlays.
func (sp *space) changes() map[string]*version {
	found := make(map[string]*version)
	for _, o := range slices.Backward(sp.overlays()) {
		o.all(func(key string, _ *slot, v *version) { found[key] = v })
	}
	return found
}

// newer returns the version of the session that is newer than the database's; nil: there is none.
func (sp *space) newer(key []byte) *version {
	l := sp.layers.Load()
	if v := l.active.find(key); v != nil {
		return v
	}
	return l.frozen.find(key)
}

// freeze makes the active overlay the frozen one, for a checkpoint.
func (sp *space) freeze() *overlay {
	active := sp.layers.Load().active
	sp.layers.Store(&layers{active: newOverlay(), frozen: active})
	return active
}

// thaw removes the frozen overlay, once it is in the database.
func (sp *space) thaw() { sp.layers.Store(&layers{active: sp.layers.Load().active}) }

// stored returns what the database has for the session; nil: nothing. It is valid until the
// transaction ends.
func (sp *space) stored(tx *bolt.Tx, key []byte) (stored, error) {
	bucket := tx.Bucket(sp.buckets.sessions)
	if bucket == nil {
		return nil, nil
	}
	s := stored(bucket.Get(key))
	if s != nil && !s.valid(sp.name, key) {
		return nil, errChecksum
	}
	return s, nil
}

// value returns the session's value: that of the newer version or, if there is none, that of the
// database, which is valid until the transaction ends. Without a session it returns ErrNotFound.
func (sp *space) value(tx *bolt.Tx, newer *version, key []byte) (value, error) {
	if newer == nil {
		stored, err := sp.stored(tx, key)
		if stored == nil {
			return nil, cmp.Or(err, store.ErrNotFound)
		}
		return stored.value(), nil
	}
	if newer.value == nil {
		return nil, store.ErrNotFound
	}
	return newer.value, nil
}

// load returns the database's version of the session; nil: there is none.
func (sp *space) load(d *database, key []byte) (v *version, err error) {
	err = d.view(func(tx *bolt.Tx) error {
		s, err := sp.stored(tx, key)
		v = s.version()
		return err
	})
	return v, err
}

// entrySize is the most bytes of an entry of the log, without a value. No session has a longer key.
func (sp *space) entrySize(key []byte) int {
	return maxEntryHead + len(sp.name) + min(len(key), 1+maxName)
}

// sweepMark is a place in the database's index by expiry. The entries before it are known to be out
// of date, in one epoch.
type sweepMark struct {
	epoch uint64
	key   []byte
}

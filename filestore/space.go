package filestore

import (
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// space is the sessions of one app.
type space struct {
	name    string
	buckets bucketNames

	// The versions that are newer than the database: those being changed, and those on their way
	// into the database.
	layers atomic.Pointer[layers]

	swept sweepMark
}

// layers are two overlays, which are replaced together; frozen may be nil. freeze and thaw are
// never called at the same time.
type layers struct{ active, frozen *overlay }

// all returns the overlays, the newer one first.
func (l *layers) all() []*overlay {
	if l.frozen == nil {
		return []*overlay{l.active}
	}
	return []*overlay{l.active, l.frozen}
}

func newSpace(name string) *space {
	sp := &space{name: name, buckets: namesOf(name)}
	sp.layers.Store(&layers{active: newOverlay()})
	return sp
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

// load returns the database's version of the session; nil: there is none.
func (sp *space) load(d *database, key []byte) (v *version, err error) {
	err = d.view(func(tx *bolt.Tx) error {
		s, err := sp.stored(tx, key)
		if s != nil {
			v = &version{value: append(value(nil), s.value()...), due: s.due()}
		}
		return err
	})
	return v, err
}

// entrySize is the most bytes of an entry of the log, without a value.
func (sp *space) entrySize(key []byte) int { return maxEntryHead + len(sp.name) + len(key) }

// sweepMark is a place in the database's index by expiry. The entries before it are known to be out
// of date, in one epoch.
type sweepMark struct {
	mu    sync.Mutex
	epoch uint64
	key   []byte
}

func (m *sweepMark) get(epoch uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch != epoch {
		return nil
	}
	return m.key
}

func (m *sweepMark) set(epoch uint64, key []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.key = epoch, key
}

package filestore

import "sync/atomic"

// space is the sessions of one app.
type space struct {
	name    string
	buckets bucketNames

	// What is newer than the database: what is being changed, and what is on its way into the database. Replaced as one.
	layers atomic.Pointer[layers]

	swept sweptMark
}

// layers are two overlays; frozen may be nil. Freezing and thawing never happen at the same time: they replace both.
type layers struct{ active, frozen *overlay }

// all returns the overlays that there are, the newer first.
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

// newer returns the session's version if it is newer than the database's; nil if the database has the newest.
func (sp *space) newer(key []byte) *version {
	l := sp.layers.Load()
	if v := l.active.find(key); v != nil {
		return v
	}
	return l.frozen.find(key)
}

// freeze makes the active overlay the one that goes into the database.
func (sp *space) freeze() *overlay {
	active := sp.layers.Load().active
	sp.layers.Store(&layers{active: newOverlay(), frozen: active})
	return active
}

// thaw forgets the frozen overlay, once the database has it.
func (sp *space) thaw() { sp.layers.Store(&layers{active: sp.layers.Load().active}) }

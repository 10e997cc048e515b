package livestore

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// shardCount keeps a shard at some 8,000 entries when the store holds a million: few enough that whatever is done to a whole
// shard under its lock stays far below a millisecond.
const shardCount = 128

// Store is a store.Store in memory. Make one with New; it is safe for concurrent use. Times are kept to the microsecond.
//
// Get and Set cost well under a microsecond, whatever the number of sessions; Destroy and Touch are alike. A Store never
// removes a session by itself: it has to be swept.
type Store struct {
	seed    maphash.Seed
	shards  [shardCount]shard
	users   index
	clients index

	root   *Store      // the store that New made; for it, itself
	closed atomic.Bool // of the root
	apps   sync.Map    // of the root: name to *Store
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Toucher       = (*Store)(nil)
	_ store.Sweeper       = (*Store)(nil)
	_ store.UserIndex     = (*Store)(nil)
	_ store.ClientIndex   = (*Store)(nil)
	_ store.ActivityIndex = (*Store)(nil)
	_ store.Optimizer     = (*Store)(nil)
	_ store.Pinger        = (*Store)(nil)
	_ store.Namespacer    = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	s := newNamespace()
	s.root = s
	return s
}

func newNamespace() *Store {
	s := &Store{seed: maphash.MakeSeed()}
	s.users.init(s.seed, func(e *entry) *int32 { return &e.userPos })
	s.clients.init(s.seed, func(e *entry) *int32 { return &e.clientPos })
	for i := range s.shards {
		s.shards[i].init(&s.users, &s.clients)
	}
	return s
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string) (rec store.Record, err error) {
	if err := s.ready(ctx); err != nil {
		return rec, err
	}
	sh := s.shard(id)
	sh.mu.Lock()
	e := sh.sessions[id]
	if e == nil {
		sh.mu.Unlock()
		return rec, store.ErrNotFound
	}
	data := e.copyTo(&rec)
	sh.mu.Unlock()
	rec.Data = bytesOf(data)
	return rec, nil
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	data := string(rec.Data)
	sh := s.shard(rec.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.sessions[rec.ID]
	switch {
	case e == nil && rec.Revision != 0:
		return 0, store.ErrNotFound
	case e == nil && s.root.closed.Load(): // since ready: nothing may be put where Close has tidied up
		return 0, store.ErrClosed
	case e == nil:
		return sh.create(&rec, data), nil
	case e.revision != rec.Revision:
		return 0, store.ErrConflict
	}
	return sh.update(e, &rec, data), nil
}

// Destroy implements store.Store.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.sessions[id]
	if e == nil {
		return false, nil
	}
	sh.remove(e)
	return true, nil
}

// Touch implements store.Toucher.
func (s *Store) Touch(ctx context.Context, id string, seen, expires time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.sessions[id]
	if e == nil {
		return store.ErrNotFound
	}
	if at := seen.UnixMicro(); at > e.seen {
		sh.moveSeen(e, at)
		sh.moveExpires(e, expires.UnixMicro())
	}
	return nil
}

// ready says why an operation must not start: the store is closed, or the context has ended.
func (s *Store) ready(ctx context.Context) error {
	if s.root.closed.Load() {
		return store.ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("livestore: not done: %w", context.Cause(ctx))
	}
	return nil
}

func (s *Store) shard(id string) *shard {
	return &s.shards[maphash.String(s.seed, id)%shardCount]
}

package livestore

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// shardCount makes a shard of about 8,000 entries in a store of a million: few enough that an
// operation on a whole shard under its lock takes much less than a millisecond.
const shardCount = 128

// Store is a store.Store in memory. New makes one. It is safe for concurrent use. Times are kept to
// the microsecond.
//
// Get, Set, Destroy and Touch take less than a microsecond, regardless of the number of sessions. A
// Store never removes expired sessions by itself: call Sweep.
type Store struct {
	seed    maphash.Seed
	shards  [shardCount]shard
	users   index
	clients index

	root   *Store      // the store that New made; its own is itself
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
	_ store.ActiveLister  = (*Store)(nil)
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
	s.users.init(byUser)
	s.clients.init(byClient)
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
	hash := s.hash(id)
	sh := s.shard(hash)
	sh.mu.Lock()
	e := sh.sessions.find(hash, id)
	if e == nil {
		sh.mu.Unlock()
		return rec, store.ErrNotFound
	}
	l := sh.look(e)
	sh.mu.Unlock()
	rec.Data = bytes.Clone(l.fill(&rec))
	sh.looked.Add(1)
	return rec, nil
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	p := makePayload(&rec)
	hash := s.hash(rec.ID)
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.sessions.find(hash, rec.ID)
	switch {
	case e == nil && rec.Revision != 0:
		return 0, store.ErrNotFound
	case e == nil && s.root.closed.Load(): // after Close nothing may be added
		return 0, store.ErrClosed
	case e == nil:
		return sh.create(&rec, s.hashes(hash, &rec), p), nil
	case e.revision != rec.Revision:
		return 0, store.ErrConflict
	}
	if !e.names.are(&rec) {
		sh.rename(e, &rec, s.hashes(hash, &rec))
	}
	return sh.update(e, &rec, p), nil
}

// Destroy implements store.Store.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	hash := s.hash(id)
	sh := s.shard(hash)
	sh.mu.Lock()
	e := sh.sessions.find(hash, id)
	if e == nil {
		sh.mu.Unlock()
		return false, nil
	}
	sh.remove(e)
	sh.mu.Unlock()
	s.users.part(e.hash[byUser]).remove(e)
	s.clients.part(e.hash[byClient]).remove(e)
	return true, nil
}

// Touch implements store.Toucher.
func (s *Store) Touch(ctx context.Context, id string, seen time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	hash := s.hash(id)
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.sessions.find(hash, id)
	if e == nil {
		return store.ErrNotFound
	}
	at := seen.UnixMicro()
	if at <= e.seen {
		return nil
	}
	l := e.look()
	var rec store.Record
	l.fill(&rec)
	store.KeepSeen(&store.Record{Seen: seen}, &rec)
	sh.moveSeen(e, at)
	sh.moveExpires(e, rec.Expires.UnixMicro())
	return nil
}

// ready returns an error if no operation may begin: the store is closed, or the context has ended.
func (s *Store) ready(ctx context.Context) error {
	if s.root.closed.Load() {
		return store.ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("livestore: %w", context.Cause(ctx))
	}
	return nil
}

func (s *Store) hash(name string) uint32 {
	return uint32(maphash.String(s.seed, name)) //nolint:gosec // half of it does
}

func (s *Store) hashes(id uint32, rec *store.Record) hashes {
	return hashes{id, s.hash(rec.UserID), s.hash(rec.ClientID)}
}

func (s *Store) shard(hash uint32) *shard { return &s.shards[shardOf(hash)] }

// shardOf uses the highest bits of a hash; a table uses the lowest.
func shardOf(hash uint32) uint32 { return hash / (1 << 32 / shardCount) }

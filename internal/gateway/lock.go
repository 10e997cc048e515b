package gateway

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
)

// locks holds a Lock for each session that is being worked on.
type locks struct {
	seed   maphash.Seed
	shards [64]lockShard
}

type lockShard struct {
	mu   sync.Mutex
	byID map[string]*Lock
	free []*Lock // unused Locks, to be used again
}

// Lock has the locks of one session. All callers that work on the session share it. Obtain it with
// Gateway.Acquire and give it back with Release.
//
// It has three locks, which are taken in this order; docs/architecture.md has the order of all
// locks. The outer lock is held while an application's function runs, however long that takes. The
// merge lock is held while the changes of one request are merged, so that concurrent merges don't
// exhaust one another's attempts. The commit lock is held while one change is stored and reported.
type Lock struct {
	id      string
	shard   *lockShard
	refs    int // guarded by shard.mu
	outer   ctxlock.Lock
	merge   ctxlock.Lock
	commit  ctxlock.Lock
	alone   atomic.Pointer[alone] // nil: merges needn't wait; changed by the holder of the outer lock
	later   Later                 // calls that the holder of the outer lock makes after giving it back
	changes atomic.Uint64         // see Changes
	touched atomic.Int64          // unix nanoseconds of the last touch that a holder of this Lock has begun
}

const keepFree = 32

func (l *locks) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.shards {
		l.shards[i].byID = make(map[string]*Lock)
	}
}

func (l *locks) acquire(id string) *Lock {
	s := &l.shards[maphash.String(l.seed, id)%uint64(len(l.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.byID[id]; k != nil {
		k.refs++
		return k
	}
	var k *Lock
	if n := len(s.free); n > 0 {
		k, s.free = s.free[n-1], s.free[:n-1]
	} else {
		k = &Lock{shard: s}
	}
	k.id, k.refs = id, 1
	k.touched.Store(0)
	s.byID[id] = k
	return k
}

// Release gives the Lock back. The caller holds none of its locks.
func (k *Lock) Release() {
	s := k.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.refs--; k.refs > 0 {
		return
	}
	delete(s.byID, k.id)
	if len(s.free) < keepFree {
		s.free = append(s.free, k)
	}
}

// Lock waits for the outer lock, in the order of arrival, or until ctx ends.
func (k *Lock) Lock(ctx context.Context) error { return k.outer.Lock(ctx) }

// TryLock takes the outer lock if it is free.
func (k *Lock) TryLock() bool { return k.outer.TryLock() }

// Changes returns a number that differs after a change of the session by this process. Only numbers
// of one Lock that the caller has not released in between can be compared.
func (k *Lock) Changes() uint64 { return k.changes.Load() }

// Unlock frees the outer lock, and then runs what was added to Later.
func (k *Lock) Unlock() {
	var later Later
	later.Move(&k.later)
	k.outer.Unlock()
	later.Run()
}

// Later is for the holder of the outer lock, until Unlock.
func (k *Lock) Later() *Later { return &k.later }

// claimTouch reports whether the caller has to touch the session at now: one caller per interval
// does.
func (k *Lock) claimTouch(now time.Time, interval time.Duration) bool {
	last := k.touched.Load()
	return now.UnixNano()-last >= int64(interval) && k.touched.CompareAndSwap(last, now.UnixNano())
}

// alone is a period of exclusive access for a function of WithSession that has repeatedly lost
// against merges of this process. Merges wait for its end, each for Config.StoreTimeout at most.
// Once the period has lasted that long, they don't wait at all. Ending a session never waits for
// it.
type alone struct {
	over  chan struct{} // closed at its end
	until time.Time     // merges don't wait longer
}

// wait returns at the end of the period, or after d.
func (a *alone) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a.over:
	case <-timer.C:
	case <-ctx.Done():
		return fmt.Errorf("bridge: wait for a function of WithSession: %w", ctxlock.Cause(ctx))
	}
	return nil
}

// letIn ends the period that keepOut has begun.
func (k *Lock) letIn(a *alone) {
	k.alone.Store(nil)
	close(a.over)
}

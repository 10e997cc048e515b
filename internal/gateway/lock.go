package gateway

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// locks holds a Lock for each session that somebody works on, and for no other.
type locks struct {
	seed   maphash.Seed
	shards [64]lockShard
}

type lockShard struct {
	mu   sync.Mutex
	byID map[string]*Lock
	free []*Lock // some that are out of use, to save making them again
}

// Lock is what the workers on one session share. Obtain it with Gateway.Acquire, give it back with Release.
//
// It has three locks, 1-slot channels: they hand over in the order of arrival, and a wait for one ends with its context.
// The outer is held while an application's function runs, however long; the merge lock while the changes of one request are
// merged, so that many at once don't wear out one another's attempts; the commit lock while one change is stored and
// reported. Whoever takes more than one takes them in this order.
type Lock struct {
	id      string
	shard   *lockShard
	refs    int // guarded by shard.mu
	outer   chan struct{}
	merge   chan struct{}
	commit  chan struct{}
	alone   atomic.Pointer[alone] // nil: merges needn't wait; changed by the holder of the outer lock
	later   Later                 // what the holder of the outer lock leaves to be done when it has given that back
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
		k = &Lock{shard: s, outer: make(chan struct{}, 1), merge: make(chan struct{}, 1), commit: make(chan struct{}, 1)}
	}
	k.id, k.refs = id, 1
	k.touched.Store(0)
	s.byID[id] = k
	return k
}

// Release gives the Lock back. The caller holds neither of its locks any more.
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

// Lock waits for the outer lock, in the order of arrival, until ctx ends.
func (k *Lock) Lock(ctx context.Context) error { return Take(ctx, k.outer) }

// Unlock frees the outer lock, and does then what was left in Later.
func (k *Lock) Unlock() {
	var later Later
	later.Move(&k.later)
	<-k.outer
	later.Run()
}

// Later is for the holder of the outer lock, until Unlock.
func (k *Lock) Later() *Later { return &k.later }

// Take takes a 1-slot lock: it waits in the order of arrival, until ctx ends.
func Take(ctx context.Context, slot chan struct{}) error {
	if ctx.Err() != nil {
		return cause(ctx)
	}
	select { // a free slot is not worth looking at ctx.Done, which may make a channel
	case slot <- struct{}{}:
		return nil
	default:
	}
	select {
	case slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return cause(ctx)
	}
}

// TakeFirst is Take, but takes a free lock whether or not ctx has ended: that is not worth asking before it comes to waiting.
func TakeFirst(ctx context.Context, slot chan struct{}) error {
	select {
	case slot <- struct{}{}:
		return nil
	default:
		return Take(ctx, slot)
	}
}

// cause is why ctx, which has ended, has.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// claimTouch reports whether the caller is the one to touch the session at now: of all that share the Lock, one per interval.
func (k *Lock) claimTouch(now time.Time, interval time.Duration) bool {
	last := k.touched.Load()
	return now.UnixNano()-last >= int64(interval) && k.touched.CompareAndSwap(last, now.UnixNano())
}

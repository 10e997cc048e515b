package linearizability_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// troubledStore is slow, for a test in a bubble, and fails now and then in each of the ways in
// which a store may fail.
type troubledStore struct {
	store.Store
	mu     sync.Mutex
	random *rand.Rand
	calm   atomic.Bool
}

var errTrouble = errors.New("trouble")

// trouble is the fault of one call.
type trouble int

const (
	noTrouble  trouble = iota
	conflict           // refused, although the revision is right
	lostReply          // done, and repeated by a connection that had no answer, which gets a conflict
	failedCall         // failed, and nothing done
	failedDone         // failed, and done
)

// next waits for a moment and returns the next fault, each with its chance in a thousand.
func (s *troubledStore) next(chances map[trouble]int) (trouble, func()) {
	s.mu.Lock()
	dice, before, after := s.random.IntN(1000), s.random.IntN(3), s.random.IntN(3)
	s.mu.Unlock()
	if s.calm.Load() {
		return noTrouble, func() {}
	}
	time.Sleep(time.Duration(before) * time.Millisecond)
	late := func() { time.Sleep(time.Duration(after) * time.Millisecond) }
	for t := conflict; t <= failedDone; t++ {
		if dice -= chances[t]; dice < 0 {
			return t, late
		}
	}
	return noTrouble, late
}

func (s *troubledStore) Get(ctx context.Context, id string) (store.Record, error) {
	t, late := s.next(map[trouble]int{failedCall: 8})
	defer late()
	if t == failedCall {
		return store.Record{}, errTrouble
	}
	return s.Store.Get(ctx, id)
}

func (s *troubledStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	t, late := s.next(map[trouble]int{conflict: 80, lostReply: 30, failedCall: 8, failedDone: 8})
	defer late()
	switch t {
	case noTrouble:
		return s.Store.Set(ctx, rec)
	case conflict:
		if _, err := s.Store.Get(ctx, rec.ID); err != nil {
			return 0, err
		}
		return 0, store.ErrConflict
	case failedCall:
		return 0, errTrouble
	}
	if rev, err := s.Store.Set(ctx, rec); err != nil {
		return rev, err
	}
	if t == lostReply {
		return 0, store.ErrConflict
	}
	return 0, errTrouble
}

func (s *troubledStore) Destroy(ctx context.Context, id string) (bool, error) {
	t, late := s.next(map[trouble]int{failedCall: 50, failedDone: 50})
	defer late()
	if t == failedCall {
		return false, errTrouble
	}
	was, err := s.Store.Destroy(ctx, id)
	if t == failedDone {
		err = errTrouble
	}
	return was, err
}

// blindStore breaks the contract: it doesn't compare revisions before it sets.
type blindStore struct{ store.Store }

func (s blindStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	for rec.Revision != 0 {
		now, err := s.Get(ctx, rec.ID)
		if err != nil {
			return 0, err
		}
		rec.Revision = now.Revision
		rev, err := s.Store.Set(ctx, rec)
		if !errors.Is(err, store.ErrConflict) {
			return rev, err
		}
	}
	return s.Store.Set(ctx, rec)
}

// undeadStore breaks the contract: a Set after a Destroy brings the session back.
type undeadStore struct{ store.Store }

func (s undeadStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	rev, err := s.Store.Set(ctx, rec)
	if errors.Is(err, store.ErrNotFound) {
		rec.Revision = 0
		return s.Store.Set(ctx, rec)
	}
	return rev, err
}

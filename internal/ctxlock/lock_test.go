package ctxlock_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
)

func TestLockHandsOverInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ctxlock.Lock
		require.NoError(t, l.Lock(t.Context()))
		require.False(t, l.TryLock())
		var order []int
		for i := range 10 {
			lock := l.Lock
			if i%2 == 1 {
				lock = l.LockOrWait
			}
			go func() {
				if lock(t.Context()) == nil {
					order = append(order, i)
					l.Unlock()
				}
			}()
			synctest.Wait()
		}
		time.Sleep(time.Hour) // the bubble's time passes
		require.Empty(t, order)
		l.Unlock()
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, order)
		require.True(t, l.TryLock())
		l.Unlock()
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	for name, wait := range map[string]func(*ctxlock.Lock, context.Context) error{
		"Lock": (*ctxlock.Lock).Lock, "LockOrWait": (*ctxlock.Lock).LockOrWait,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, why := new(ctxlock.Lock), errors.New("why")
				ctx, cancel := context.WithCancelCause(t.Context())
				require.NoError(t, wait(l, ctx))
				given := make(chan error, 1)
				go func() { given <- wait(l, ctx) }()
				synctest.Wait()
				require.Empty(t, given)
				cancel(why)
				require.ErrorIs(t, <-given, why)
				require.ErrorIs(t, wait(l, ctx), why)
				l.Unlock()
			})
		})
	}
}

// Lock and LockOrWait differ only if the lock is free and the context has ended.
func TestAFreeLockAndAnEndedContext(t *testing.T) {
	l, why := new(ctxlock.Lock), errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	require.ErrorIs(t, l.Lock(ctx), why)
	require.NoError(t, l.LockOrWait(ctx))
	l.Unlock()
	require.ErrorIs(t, l.Lock(endedContext{t.Context()}), context.DeadlineExceeded, "a context without a cause")
}

// endedContext has ended, but the context that it is made of hasn't.
type endedContext struct{ context.Context }

func (endedContext) Err() error { return context.DeadlineExceeded }

// A free lock is taken without an allocation, and without asking the context for its channel.
func TestAFreeLockAllocatesNothing(t *testing.T) {
	var l ctxlock.Lock
	var m ctxlock.Mutex
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = l.Lock(ctx)
		l.Unlock()
		m.Lock()
		defer m.Unlock()
	}))
}

// A lock that is handed over to a wait that ends at that moment goes to the next.
func TestNoLockIsLostToAWaitThatEnds(t *testing.T) {
	var l ctxlock.Lock
	var all sync.WaitGroup
	held := 0 // guarded by l, as the race detector sees
	for i := range 8 {
		all.Go(func() {
			for range 500 {
				stop := make(chan struct{})
				if i%2 == 0 {
					go close(stop)
				}
				if l.LockUntil(stop) {
					held++
					l.Unlock()
				}
			}
		})
	}
	all.Wait()
	require.GreaterOrEqual(t, held, 4*500, "those whose wait doesn't end")
	require.True(t, l.TryLock())
}

// Waits that end leave the others in their order, whichever of them it is.
func TestWaitsThatEndLeaveTheOthersInTheirOrder(t *testing.T) {
	for left := range 3 {
		synctest.Test(t, func(t *testing.T) {
			var l ctxlock.Lock
			require.True(t, l.TryLock())
			var order []int
			var stops [3]chan struct{}
			for i := range stops {
				stops[i] = make(chan struct{})
				go func() {
					if l.LockUntil(stops[i]) {
						order = append(order, i)
						l.Unlock()
					}
				}()
				synctest.Wait()
			}
			close(stops[left])
			synctest.Wait()
			l.Unlock()
			synctest.Wait()
			require.Equal(t, slices.Delete([]int{0, 1, 2}, left, left+1), order)
			require.True(t, l.TryLock())
			for i := range stops { // all wait again, and all leave
				if i != left {
					go l.LockUntil(stops[i])
					synctest.Wait()
					close(stops[i])
					synctest.Wait()
				}
			}
			l.Unlock()
			require.True(t, l.TryLock())
		})
	}
}

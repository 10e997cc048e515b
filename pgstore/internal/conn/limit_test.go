package conn

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLimiter: each operation ends after the timeout, whatever others do meanwhile, and its context has a
// deadline as those of package context have.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		const timeout = 3 * time.Second
		started := time.Now()
		ops, ends := make([]context.Context, 6), make([]func(), 6)
		for i := range ops {
			ops[i], ends[i] = l.begin(t.Context(), timeout)
			deadline, ok := ops[i].Deadline()
			require.True(t, ok)
			require.Equal(t, time.Now().Add(timeout), deadline)
			time.Sleep(time.Second / 2)
		}
		for _, i := range []int{1, 5, 3} { // of the middle, the last, and the last but one
			ends[i]()
			require.Equal(t, context.Canceled, ops[i].Err(), "it is over")
			ends[i]() // as with a context's cancel
		}
		for _, i := range []int{0, 2, 4} {
			<-ops[i].Done()
			require.Equal(t, time.Duration(i)*time.Second/2+timeout, time.Since(started))
			require.Equal(t, context.DeadlineExceeded, ops[i].Err())
			ends[i]()
		}
		synctest.Wait()
		require.Zero(t, l.running.Len())
		require.False(t, l.set)

		again, end := l.begin(t.Context(), timeout) // the timer is set again
		<-again.Done()
		require.Equal(t, context.DeadlineExceeded, again.Err())
		end()
	})
}

// TestLimitedByTheParent: an operation ends with its parent, for the parent's reason, and has no timer if
// the parent ends first.
func TestLimitedByTheParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		ctx, cancel := context.WithCancelCause(t.Context())
		op, end := l.begin(ctx, time.Second)
		reason := errors.New("the client has left")
		cancel(reason)
		<-op.Done()
		require.Equal(t, context.Canceled, op.Err())
		require.Equal(t, reason, context.Cause(op))
		end()

		earlier, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		op, end = l.begin(earlier, time.Second)
		require.Equal(t, earlier, op)
		end()
	})
}

// TestTimedOut: an operation that has timed out says so, also where a context that is derived from its context
// has ended, and only then.
func TestTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		ctx, cancel := context.WithCancel(t.Context())
		op, end := l.begin(ctx, time.Second)
		connecting, stop := context.WithTimeout(op, time.Minute)
		defer stop()
		<-connecting.Done()
		require.ErrorIs(t, timedOut(op, connecting.Err()), context.DeadlineExceeded)
		other := errors.New("another one")
		require.Equal(t, other, timedOut(op, other))
		end()

		op, end = l.begin(ctx, time.Second)
		cancel()
		require.NotErrorIs(t, timedOut(op, op.Err()), context.DeadlineExceeded)
		end()
	})
}

// TestLimitedAtOnce: operations begin, end and time out at the same time.
func TestLimitedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				for range 20 {
					ctx, end := l.begin(t.Context(), 2*time.Millisecond)
					time.Sleep(time.Duration(i%3+1) * time.Millisecond)
					if err := ctx.Err(); i%3 == 0 && err != nil || i%3 == 2 && err == nil { // at 2 ms it may be either
						t.Errorf("after %d ms: %v", i%3+1, err)
					}
					end()
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		require.Zero(t, l.running.Len())
		require.False(t, l.set)
	})
}

// TestLimitedWithoutGoroutines: a function to be called at the end of an operation costs no goroutine.
func TestLimitedWithoutGoroutines(t *testing.T) {
	var l limiter
	ctx, end := l.begin(t.Context(), time.Hour)
	defer end()
	before := runtime.NumGoroutine()
	for range 10 {
		defer context.AfterFunc(ctx, func() {})()
	}
	require.Equal(t, before, runtime.NumGoroutine())
}

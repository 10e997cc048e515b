package heartbeat_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/heartbeat"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// connection is what a Beat keeps alive. A failure ends it.
type connection struct {
	*heartbeat.Beat
	ctx    context.Context
	end    context.CancelCauseFunc
	clock  *clock.Clock
	failed chan error
}

func connect(t *testing.T, every time.Duration, call func(ctx context.Context) error) *connection {
	c := &connection{clock: clock.New(), failed: make(chan error, 10)}
	t.Cleanup(c.clock.Close)
	c.ctx, c.end = context.WithCancelCause(t.Context())
	c.Beat = heartbeat.New(c.ctx, heartbeat.Config{
		Clock: c.clock,
		Group: workers.New(func(any) {}),
		Every: every,
		Call:  call,
		Fail: func(err error) {
			c.failed <- err
			c.end(err)
		},
	})
	return c
}

func TestFunctionIsCalledEverySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, calls := time.Now(), 0
		c := connect(t, time.Minute, func(context.Context) error {
			calls++
			late := time.Since(began) - time.Duration(calls)*time.Minute
			require.Positive(t, late)
			require.LessOrEqual(t, late, time.Duration(calls)*250*time.Millisecond)
			return nil
		})
		c.Start()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.InDelta(t, 59, calls, 1)
		c.Stop()
		require.Zero(t, c.clock.Len())
		require.Empty(t, c.failed)
	})
}

func TestBeatsOfManyConnectionsShareAWakeUp(t *testing.T) {
	c := clock.New()
	defer c.Close()
	var a, b clock.Deadline
	heartbeat.Plan(c, &a, time.Hour+time.Millisecond)
	heartbeat.Plan(c, &b, time.Hour+249*time.Millisecond)
	first, _ := c.When(&a)
	second, _ := c.When(&b)
	require.Equal(t, first, second)
	require.Equal(t, time.Hour+250*time.Millisecond, c.Offset(first))
}

func TestFailureOfTheFunctionIsTheConnections(t *testing.T) {
	gone := errors.New("gone")
	for name, test := range map[string]struct {
		call  func(ctx context.Context) error
		cause error
		after time.Duration
	}{
		"an error": {func(context.Context) error { return gone }, gone, 0},
		"a panic":  {func(context.Context) error { panic("a bug") }, heartbeat.ErrPanicked, 0},
		"a Goexit": {func(context.Context) error { runtime.Goexit(); return nil }, heartbeat.ErrPanicked, 0},
		"a hang":   {func(ctx context.Context) error { <-ctx.Done(); return nil }, nil, heartbeat.Wait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := connect(t, time.Minute, test.call)
				c.Start()
				err := <-c.failed
				if test.cause != nil {
					require.ErrorIs(t, err, test.cause)
				} else {
					require.EqualError(t, err, "bridge: the heartbeat took longer than 10 s")
				}
				require.InDelta(t, time.Minute+test.after, time.Since(began), float64(250*time.Millisecond))
				time.Sleep(time.Hour)
				require.Empty(t, c.failed, "a connection that has ended has no beats")
				require.Zero(t, c.clock.Len())
			})
		})
	}
}

func TestOneCallRunsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		c := connect(t, time.Second, func(context.Context) error {
			calls.Add(1)
			time.Sleep(4 * time.Second)
			return nil
		})
		c.Start()
		time.Sleep(7 * time.Second)
		require.EqualValues(t, 2, calls.Load())
		began := time.Now()
		c.Stop()
		require.Positive(t, time.Since(began), "it waits for the call that runs")
		c.Stop()
		c.Start()
		time.Sleep(time.Hour)
		require.EqualValues(t, 2, calls.Load())
	})
}

func TestNilBeatIsStopped(*testing.T) {
	var none *heartbeat.Beat
	none.Stop()
}

package periodic_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/periodic"
)

// newTask returns a Task whose goroutines survive panics, and its clock.
func newTask(t *testing.T, stopped *atomic.Bool) (*periodic.Task, *clock.Clock) {
	c := clock.New()
	t.Cleanup(c.Close)
	return periodic.New(periodic.Config{
		Clock: c,
		Go: func(run func()) {
			go func() {
				defer func() { _ = recover() }()
				run()
			}()
		},
		Stopped: stopped.Load,
	}), c
}

func TestATaskRunsAtTheIntervalUntilStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task, c := newTask(t, new(atomic.Bool))
		var runs atomic.Int64
		count := func(context.Context) { runs.Add(1) }
		require.False(t, task.Stop(), "it isn't started")
		require.True(t, task.Start(time.Minute, count))
		require.False(t, task.Start(time.Second, count), "it is started already")
		time.Sleep(time.Minute - 1)
		require.Zero(t, runs.Load(), "the first run comes after an interval")
		time.Sleep(2*time.Minute + time.Second)
		require.EqualValues(t, 3, runs.Load())
		require.True(t, task.Stop())
		require.False(t, task.Stop())
		require.Zero(t, c.Len())
		time.Sleep(time.Hour)
		require.EqualValues(t, 3, runs.Load())
		require.True(t, task.Start(time.Minute, count), "it may be started again")
		time.Sleep(time.Minute + 1)
		synctest.Wait()
		require.EqualValues(t, 4, runs.Load())
		task.Stop()
	})
}

func TestASlowRunDelaysTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task, _ := newTask(t, new(atomic.Bool))
		var running, runs atomic.Int64
		task.Start(time.Minute, func(context.Context) {
			require.EqualValues(t, 1, running.Add(1))
			time.Sleep(10 * time.Minute)
			running.Add(-1)
			runs.Add(1)
		})
		time.Sleep(22*time.Minute + time.Second)
		require.EqualValues(t, 2, runs.Load())
		task.Stop()
		time.Sleep(time.Hour)
	})
}

func TestStopEndsTheContextOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task, c := newTask(t, new(atomic.Bool))
		ended := false
		task.Start(time.Minute, func(ctx context.Context) {
			<-ctx.Done()
			ended = true
		})
		time.Sleep(2 * time.Minute)
		task.Stop()
		synctest.Wait()
		require.True(t, ended)
		require.Zero(t, c.Len(), "no run follows")
	})
}

func TestAPanicDoesNotEndTheRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task, _ := newTask(t, new(atomic.Bool))
		var runs atomic.Int64
		task.Start(time.Minute, func(context.Context) {
			runs.Add(1)
			panic("bent")
		})
		time.Sleep(2*time.Minute + time.Second)
		require.EqualValues(t, 2, runs.Load())
		task.Stop()
	})
}

func TestATaskOfAStoppedOwnerDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped atomic.Bool
		stopped.Store(true)
		task, c := newTask(t, &stopped)
		require.False(t, task.Start(time.Minute, func(context.Context) {}))
		require.Zero(t, c.Len())
	})
}

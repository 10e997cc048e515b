package workers_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/workers"
)

func noPanic(t *testing.T) func(any) { return func(value any) { t.Errorf("panicked: %v", value) } }

func TestWaitReturnsWhenNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := workers.New(noPanic(t))
		require.NoError(t, g.Wait(t.Context()), "nothing has ever run")
		p := g.Pool(1)
		start := time.Now()
		g.Go(func() { time.Sleep(time.Second) })
		require.True(t, g.TryGo(func() { time.Sleep(2 * time.Second) }))
		for range 3 {
			p.Go(func() { time.Sleep(time.Second) })
		}
		g.Enter()
		time.AfterFunc(4*time.Second, g.Leave)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				require.NoError(t, g.Wait(t.Context()))
				require.Equal(t, 4*time.Second, time.Since(start))
			})
		}
		all.Wait()
		require.NoError(t, g.Wait(t.Context()))
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	g := workers.New(noPanic(t))
	g.Enter()
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	require.ErrorIs(t, g.Wait(ctx), cause)
	g.Leave()
	require.NoError(t, g.Wait(ctx), "nothing runs: there is nothing to wait for")
}

// After Stop nothing new comes from outside, and what runs can still start what it needs.
func TestStop(t *testing.T) {
	g := workers.New(noPanic(t))
	p := g.Pool(1)
	require.False(t, g.Stopped())
	require.True(t, g.TryEnter())
	g.Stop()
	require.True(t, g.Stopped())
	require.False(t, g.TryEnter())
	require.False(t, g.TryGo(func() { t.Error("called") }))
	var ran atomic.Int32
	g.Go(func() { ran.Add(1) })
	p.Go(func() { ran.Add(1) })
	g.Enter()
	g.Leave()
	g.Leave()
	require.NoError(t, g.Wait(t.Context()))
	require.EqualValues(t, 2, ran.Load())
}

func TestPoolRunsSoManyAtOnceInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := workers.New(noPanic(t))
		p, other := g.Pool(3), g.Pool(1)
		var mu sync.Mutex
		var begun []int
		running, most := 0, 0
		for i := range 100 {
			p.Go(func() {
				mu.Lock()
				begun = append(begun, i)
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Duration(i+1) * time.Millisecond) // no two end at once
				mu.Lock()
				running--
				mu.Unlock()
			})
			synctest.Wait()
		}
		done := false
		other.Go(func() { done = true })
		synctest.Wait()
		require.True(t, done, "a full pool delays no other")
		require.NoError(t, g.Wait(t.Context()))
		require.Equal(t, 3, most)
		for i, task := range begun {
			require.Equal(t, i, task)
		}
		require.Len(t, begun, 100)
	})
}

func TestPanicsAreReportedAndHurtNoOtherTask(t *testing.T) {
	var reported atomic.Int32
	g := workers.New(func(value any) {
		if value == "oops" {
			reported.Add(1)
		}
	})
	p := g.Pool(1)
	ran := make(chan struct{}, 1)
	p.Go(func() { panic("oops") })
	p.Go(func() { ran <- struct{}{} })
	g.Go(func() { panic("oops") })
	g.Protect(func() { panic("oops") })
	<-ran
	require.NoError(t, g.Wait(t.Context()))
	require.EqualValues(t, 3, reported.Load())
}

// A task that ends its goroutine frees its place in the pool, and the tasks behind it run.
func TestPoolGoesOnAfterAGoexit(t *testing.T) {
	g := workers.New(noPanic(t))
	p := g.Pool(1)
	ran := make(chan struct{}, 4)
	for range 2 {
		p.Go(func() { ran <- struct{}{}; runtime.Goexit() })
		p.Go(func() { ran <- struct{}{} })
	}
	for range 4 {
		<-ran
	}
	require.NoError(t, g.Wait(t.Context()))
	p.Go(func() { ran <- struct{}{} })
	<-ran
	require.NoError(t, g.Wait(t.Context()))
}

// Tasks start tasks of other pools while others wait for the group.
func TestConcurrentUse(t *testing.T) {
	g := workers.New(noPanic(t))
	a, b := g.Pool(4), g.Pool(2)
	var ran atomic.Int64
	for range 1000 {
		a.Go(func() {
			b.Go(func() { ran.Add(1) })
			g.Go(func() { ran.Add(1) })
		})
	}
	require.NoError(t, g.Wait(t.Context()))
	require.EqualValues(t, 2000, ran.Load())
}

// A caller that fans out waits for a free place, and at the end for all of its tasks.
func TestLimitedWaitsForAFreePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var panics atomic.Int32
		g := workers.New(func(any) { panics.Add(1) })
		l := g.Limited(3)
		var running, most, done atomic.Int32
		start := time.Now()
		for range 2 {
			for i := range 10 {
				l.Go(func() {
					most.Store(max(most.Load(), running.Add(1)))
					defer done.Add(1)
					defer running.Add(-1)
					time.Sleep(time.Second)
					switch i {
					case 0:
						panic("oops")
					case 1:
						runtime.Goexit()
					}
				})
			}
			l.Wait()
		}
		require.EqualValues(t, 20, done.Load())
		require.EqualValues(t, 3, most.Load())
		require.EqualValues(t, 2, panics.Load())
		require.Equal(t, 8*time.Second, time.Since(start))
		require.NoError(t, g.Wait(t.Context()))
	})
}

package clock_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// run calls fn in a bubble, with a Clock and a function that notes names and the times at which
// they were noted.
func run(
	t *testing.T,
	fn func(t *testing.T, c *clock.Clock, note func(name string) func(), noted func() times),
) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		defer c.Close()
		start := time.Now()
		var mu sync.Mutex
		at := make(map[string]time.Duration)
		note := func(name string) func() {
			return func() {
				mu.Lock()
				defer mu.Unlock()
				at[name] += time.Since(start)
			}
		}
		noted := func() map[string]time.Duration {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			was := at
			at = make(map[string]time.Duration)
			return was
		}
		fn(t, c, note, noted)
	})
}

type times = map[string]time.Duration

func TestDeadlinesRunAtTheirTime(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, note func(string) func(), noted func() times) {
		now := time.Now()
		c.Add(now.Add(3*time.Second), note("c"))
		c.Add(now.Add(time.Second), note("a"))
		c.Add(now.Round(0).Add(2*time.Second), note("b"))
		c.Add(now.Add(-time.Second), note("past"))
		require.Equal(t, times{"past": 0}, noted())
		require.Equal(t, 3, c.Len())
		time.Sleep(2*time.Second - 1)
		require.Equal(t, times{"a": time.Second}, noted())
		time.Sleep(time.Hour)
		require.Equal(t, times{"b": 2 * time.Second, "c": 3 * time.Second}, noted())
		require.Zero(t, c.Len())
	})
}

func TestMove(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, note func(string) func(), noted func() times) {
		start := time.Now()
		d := &clock.Deadline{Do: note("d")}
		require.False(t, planned(c, d))
		for _, at := range []time.Duration{5, 2, 9, 1, 3} {
			c.Move(d, start.Add(at*time.Second))
			c.Move(d, start.Round(0).Add(at*time.Second)) // to the wall clock, and back in the next turn
			require.True(t, planned(c, d))
			require.Equal(t, 1, c.Len())
		}
		time.Sleep(time.Minute)
		require.Equal(t, times{"d": 3 * time.Second}, noted(), "once, at the last time")
		require.False(t, planned(c, d))
		c.Move(d, time.Now().Add(time.Second))
		time.Sleep(time.Minute)
		require.Equal(t, times{"d": 61 * time.Second}, noted(), "a deadline that has run can be planned again")
	})
}

func TestRemove(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, note func(string) func(), noted func() times) {
		c.Remove(nil)
		c.Remove(&clock.Deadline{})
		d := c.Add(time.Now().Add(time.Second), note("removed"))
		c.Add(time.Now().Add(2*time.Second), note("stays"))
		c.Remove(d)
		c.Remove(d)
		time.Sleep(time.Minute)
		require.Equal(t, times{"stays": 2 * time.Second}, noted())
		c.Move(d, time.Now())
		require.Equal(t, times{"removed": time.Minute}, noted(), "a removed deadline can be planned again")
	})
}

func TestDoMayPlanAndRemove(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, note func(string) func(), noted func() times) {
		other := c.Add(time.Now().Add(2*time.Second), note("other"))
		n := 0
		d := &clock.Deadline{}
		d.Do = func() {
			c.Remove(other)
			if n++; n < 100 {
				c.Move(d, time.Now().Add(time.Second))
			}
		}
		c.Move(d, time.Now().Add(time.Second))
		time.Sleep(time.Hour)
		require.Empty(t, noted())
		require.Equal(t, 100, n)
	})
}

// planned reports whether d waits for its time.
func planned(c *clock.Clock, d *clock.Deadline) bool {
	_, planned := c.When(d)
	return planned
}

func TestWhen(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, _ func(string) func(), _ func() times) {
		time.Sleep(time.Hour) // the Clock's epoch is not now
		now := time.Now()
		wall := now.Round(0)
		require.False(t, planned(c, nil))
		require.False(t, planned(c, &clock.Deadline{}))
		for name, base := range map[string]time.Time{"monotonic": now, "wall": wall} {
			d := c.Add(base.Add(time.Second), func() {})
			when, planned := c.When(d)
			require.True(t, planned, name)
			for _, at := range []time.Time{now, wall} {
				require.True(t, when.After(at.Add(time.Second-1)), name)
				require.False(t, when.After(at.Add(time.Second)), name)
				require.False(t, when.After(at.Add(2*time.Second)), name)
			}
		}
	})
}

func TestOffsets(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, _ func(string) func(), _ func() times) {
		start := time.Now()
		require.Zero(t, c.Now())
		time.Sleep(time.Hour)
		require.Equal(t, time.Hour, c.Now())
		require.Equal(t, time.Hour, c.Offset(time.Now()))
		require.Equal(t, -time.Hour, c.Offset(start.Add(-time.Hour)))
		require.True(t, c.Time(time.Hour).Equal(time.Now()))
	})
}

// Times beyond the range of a time.Duration count as future, not as past.
func TestFarTimesAreNotPast(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, note func(string) func(), noted func() times) {
		c.Add(time.Now().Add(math.MaxInt64), note("monotonic"))
		c.Add(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), note("wall"))
		time.Sleep(24 * time.Hour)
		require.Empty(t, noted())
		require.Equal(t, 2, c.Len())
	})
}

// The clock looks at the wall clock every minute. Deadlines between two looks are not late.
func TestDeadlinesOfTheWallAreOnTime(t *testing.T) {
	run(t, func(t *testing.T, c *clock.Clock, note func(string) func(), noted func() times) {
		c.Add(time.Now().Round(0).Add(10*time.Minute+time.Second), note("wall"))
		time.Sleep(time.Hour)
		require.Equal(t, times{"wall": 10*time.Minute + time.Second}, noted())
	})
}

func TestCloseWaitsForTheFunctionThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New()
		returned := false
		c.Add(time.Now(), func() { time.Sleep(time.Second); returned = true })
		c.Add(time.Now().Add(2*time.Second), func() { t.Error("called after Close") })
		synctest.Wait()
		c.Close()
		require.True(t, returned)
		c.Add(time.Now(), func() { t.Error("called after Close") })
		time.Sleep(time.Minute)
	})
}

// Goroutines plan, move and remove deadlines while the Clock runs them: each runs as often as it
// came due, and none before its time.
func TestManyDeadlines(t *testing.T) {
	c := clock.New()
	defer c.Close()
	const goroutines, each = 8, 2000
	var done, all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(1, 2))
			after := func() time.Time {
				at := time.Now().Add(time.Duration(rnd.IntN(int(50 * time.Millisecond))))
				if rnd.IntN(2) == 0 {
					at = at.Round(0)
				}
				return at
			}
			for range each {
				done.Add(1)
				d := c.Add(time.Now().Add(time.Hour), done.Done)
				if rnd.IntN(2) == 0 {
					c.Remove(d)
				}
				c.Move(d, time.Now().Round(0).Add(time.Hour))
				c.Move(d, after())
			}
		})
	}
	all.Wait()
	done.Wait()
	require.Zero(t, c.Len())
}

// Each idle connection has one.
func TestADeadlineIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(clock.Deadline{}), uintptr(24))
}

func BenchmarkMoveAmong100000(b *testing.B) {
	c := clock.New()
	defer c.Close()
	ds := make([]clock.Deadline, 100_000)
	at := func(i int) time.Time { return c.Time(time.Hour + time.Duration(i*7919%100_000)*time.Millisecond) }
	for i := range ds {
		ds[i].Do = func() {}
		c.Move(&ds[i], at(i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Move(&ds[i%len(ds)], at(i+i/len(ds)))
	}
}

// TestWhatIsDueForLongestRunsFirst: a queue in which something is always due doesn't keep back the
// deadlines of the other one. Times in a bubble have no monotonic reading.
func TestWhatIsDueForLongestRunsFirst(t *testing.T) {
	for name, readings := range map[string][2]func(time.Time) time.Time{
		"the busy queue is monotonic": {same, withoutMonotonic},
		"the busy queue is wall":      {withoutMonotonic, same},
	} {
		t.Run(name, func(t *testing.T) {
			c := clock.New()
			defer c.Close()
			gate, done := make(chan struct{}), make(chan struct{})
			c.Add(time.Now(), func() { <-gate })
			ran, before := 0, -1
			busy := &clock.Deadline{}
			busy.Do = func() {
				if ran++; ran == 1000 {
					close(done)
					return
				}
				c.Move(busy, readings[0](time.Now()))
			}
			c.Move(busy, readings[0](time.Now().Add(-30*time.Second)))
			c.Add(readings[1](time.Now().Add(-29*time.Second)), func() { before = ran })
			close(gate)
			<-done
			require.Equal(t, 1, before, "it was due before the others")
		})
	}
}

func same(at time.Time) time.Time { return at }

func withoutMonotonic(at time.Time) time.Time { return at.Round(0) }

package main

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// crew is a number of goroutines that use a store at the same time, for a while.
type crew struct {
	width int
	took  time.Duration // each of them, since all began
	waits [][]time.Duration
}

// work has every goroutine call do again and again, with a generator of its own. They all begin at
// once.
func (c *crew) work(d time.Duration, do func(worker int, rng *rand.Rand) error) error {
	return c.during(func() error { time.Sleep(d); return nil }, do)
}

// during is work for as long as the task takes. It returns the task's error, too.
func (c *crew) during(task func() error, do func(worker int, rng *rand.Rand) error) error {
	if c.waits == nil {
		c.waits = make([][]time.Duration, c.width)
	}
	runtime.GC()
	var (
		wg     sync.WaitGroup
		over   atomic.Bool
		failed atomic.Pointer[error]
	)
	start := time.Now()
	for w := range c.width {
		wg.Go(func() {
			rng, waits := rand.New(
				rand.NewPCG(uint64(start.UnixNano()), uint64(w)),
			), c.waits[w][:0] //nolint:gosec // nothing secret
			for before := start; !over.Load() || w == 0 && len(waits) == 0; {
				if err := do(w, rng); err != nil {
					failed.CompareAndSwap(nil, &err)
					break
				}
				now := time.Now()
				waits = append(waits, now.Sub(before))
				before = now
			}
			c.waits[w] = waits
		})
	}
	err := task()
	over.Store(true)
	wg.Wait()
	c.took = time.Since(start)
	if first := failed.Load(); first != nil {
		err = errors.Join(err, *first)
	}
	return err
}

// sample sums up the last work.
func (c *crew) sample() sample {
	all := slices.Concat(c.waits...)
	p50, p99 := percentile(all, 50), percentile(all, 99) // which sort them
	return sample{
		perSecond: float64(len(all)) / c.took.Seconds(),
		p50Ns:     p50,
		p99Ns:     p99,
		p99ByP50:  p99 / p50,
		longestNs: float64(all[len(all)-1]),
	}
}

// own returns a random one of the sessions that are the worker's, of n that the crew shares out.
func (c *crew) own(worker, n int, rng *rand.Rand) int { return c.ownNth(worker, n, rng.Uint64()) }

// ownNth returns one of the sessions that are the worker's.
func (c *crew) ownNth(worker, n int, nth uint64) int {
	have := (n - worker + c.width - 1) / c.width
	return worker + c.width*int(nth%uint64(have)) //nolint:gosec // less than n
}

// many is how many goroutines store what only has to be stored.
const many = 512

// inParallel calls do for 0 to n-1, by many workers, and returns the first error.
func inParallel(n int, do func(worker, i int) error) error {
	var (
		wg     sync.WaitGroup
		failed atomic.Pointer[error]
	)
	for w := range many {
		wg.Go(func() {
			for i := w; i < n && failed.Load() == nil; i += many {
				if err := do(w, i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// counted returns a function that many may call with how much they have done; progress is told the
// sum, now and then.
func counted(n int, progress func(done int)) func(more int) {
	var (
		mu   sync.Mutex
		done int
	)
	return func(more int) {
		mu.Lock()
		defer mu.Unlock()
		if done += more; done%1000 == 0 || done == n {
			progress(done)
		}
	}
}

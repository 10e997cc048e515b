package main

import (
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

// work has every goroutine call do again and again, with a generator of its own. They all begin at once.
func (c *crew) work(d time.Duration, do func(worker int, rng *rand.Rand) error) error {
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
	timer := time.AfterFunc(d, func() { over.Store(true) })
	defer timer.Stop()
	for w := range c.width {
		wg.Go(func() {
			rng, waits := rand.New(rand.NewPCG(uint64(start.UnixNano()), uint64(w))), c.waits[w][:0] //nolint:gosec // nothing secret
			for before := start; len(waits) == 0 || !over.Load(); {
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
	wg.Wait()
	c.took = time.Since(start)
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// sample sums up the last work.
func (c *crew) sample() sample {
	all := slices.Concat(c.waits...)
	slices.Sort(all)
	return sample{
		perSecond: float64(len(all)) / c.took.Seconds(),
		p99Ns:     float64(all[len(all)*99/100]),
		longestNs: float64(all[len(all)-1]),
	}
}

// own returns a random one of the sessions that are the worker's, of n that the crew shares out.
func (c *crew) own(worker, n int, rng *rand.Rand) int {
	return worker + c.width*rng.IntN((n-worker+c.width-1)/c.width)
}

package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// expired is how many sessions are to be swept.
func (m *million) expired() int { return m.sessions() / 100 }

// plant stores sessions that have expired, beside the others, and leaves them in the database and
// not in the log, as sessions are that expire after hours.
func (m *million) plant() error {
	now := time.Now()
	return m.opened(func(o *oursOnDisk) error {
		return inParallel(m.expired(), func(_, i int) error {
			rec := fileSession(m.sessions()+i, 1, now.Add(-24*time.Hour-time.Duration(i)*time.Millisecond))
			_, err := o.store.Set(context.Background(), rec)
			return err
		})
	})
}

// sweepAlone measures how long it takes to remove them.
func (m *million) sweepAlone() (sample, error) {
	if err := m.plant(); err != nil {
		return nil, err
	}
	err := m.opened(m.sweep)
	return sample{totalNs: float64(m.sweepTook)}, err
}

// sweep removes all that has expired, in pieces.
func (m *million) sweep(o *oursOnDisk) error {
	const piece = 1000
	swept, start := 0, time.Now()
	for {
		recs, err := o.store.Sweep(context.Background(), start, piece)
		if err != nil {
			return err
		}
		swept += len(recs)
		if len(recs) < piece {
			break
		}
	}
	m.sweepTook = time.Since(start)
	return same("removed sessions", swept, m.expired())
}

// useWhileSwept measures how long gets and sets take while the expired sessions are being removed.
func (m *million) useWhileSwept() (sample, error) {
	if err := m.plant(); err != nil {
		return nil, err
	}
	return m.use(m.sweep)
}

// useAlone is the control: the same without a sweep, for as long as the last one has taken.
func (m *million) useAlone() (sample, error) {
	return m.use(func(*oursOnDisk) error {
		time.Sleep(max(m.sweepTook, 20*time.Millisecond))
		return nil
	})
}

// use gets and sets sessions for as long as the task takes: eight goroutines, in turn a get of any
// session and a set of one of their own.
func (m *million) use(task func(*oursOnDisk) error) (got sample, err error) {
	users := &crew{width: 8}
	setNext, counts := make([]bool, users.width), m.ours.counts
	err = m.opened(func(o *oursOnDisk) error {
		err := users.during(func() error { return task(o) }, func(worker int, rng *rand.Rand) error {
			setNext[worker] = !setNext[worker]
			if setNext[worker] {
				n := users.own(worker, len(counts), rng)
				counts[n]++
				return o.set(n, counts[n])
			}
			_, err := o.get(rng.IntN(len(counts)))
			return err
		})
		if err == nil {
			got = users.sample()
		}
		return err
	})
	return got, err
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

const sweptRate metric = "swept/s"

// The load of others: 16 goroutines, each of which begins an operation every 10 ms.
const (
	loadWidth = 16
	loadPace  = 10 * time.Millisecond
)

// sweepUnderLoad sweeps while others get and set sessions.
func (a *postgresArena) sweepUnderLoad() (got sample, err error) {
	sessions := 2 * a.sessions()
	if err := a.doers.plant(sessions); err != nil {
		return nil, err
	}
	n := 0
	waits, err := a.doers.load(func() (err error) {
		n, a.doers.sweepTook, err = a.doers.removeAll(sessions)
		return err
	})
	if err != nil {
		return nil, err
	}
	got = waited(waits)
	got[sweptRate] = float64(n) / a.doers.sweepTook.Seconds()
	return got, nil
}

// loadAlone is the control: the same without a sweep, for as long as the last one has taken.
func (a *postgresArena) loadAlone() (sample, error) {
	waits, err := a.doers.load(func() error {
		time.Sleep(max(a.doers.sweepTook, 20*time.Millisecond))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return waited(waits), nil
}

// load has others get and set sessions for as long as the task takes, a set after nine gets, and returns how
// long after the moment that each operation was to begin it had ended.
func (d *postgresDoers) load(task func() error) ([]time.Duration, error) {
	var over atomic.Bool
	waits := make([][]time.Duration, loadWidth)
	swept := make(chan error, 1)
	go func() {
		err := task()
		over.Store(true)
		swept <- err
	}()
	_, err := spread(loadWidth, loadWidth, func(ctx context.Context, w int) (int, error) {
		due := time.Now().Add(loadPace * time.Duration(w) / loadWidth)
		for i := w; len(waits[w]) == 0 || !over.Load(); i++ {
			time.Sleep(time.Until(due))
			n, do := (i*loadWidth+w)%len(d.ids), d.ourGet
			if i%10 == 0 {
				do = d.ourSet
			}
			if _, err := do(ctx, n); err != nil {
				return 0, err
			}
			waits[w] = append(waits[w], time.Since(due))
			due = due.Add(loadPace)
		}
		return 0, nil
	})
	return slices.Concat(waits...), errors.Join(err, <-swept)
}

// news changes sessions' tokens, one after the other, and measures how long after the answer another node,
// which holds all sessions, is notified of it, while so many goroutines set sessions.
func (d *postgresDoers) news(n, writers int) (got sample, err error) {
	if err := d.hold(true); err != nil {
		return nil, err
	}
	const sessions = 16
	recs := make([]store.Record, sessions)
	for i := range recs {
		rec := &recs[i]
		*rec = fileSession(len(d.ids)+i, 1, time.Now())
		stored, err := d.store.Get(context.Background(), rec.ID)
		switch {
		case err == nil:
			*rec = stored
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		default:
			if rec.Revision, err = d.store.Set(context.Background(), *rec); err != nil {
				return nil, err
			}
		}
		if err := d.node.Hold(context.Background(), rec.ID, ""); err != nil {
			return nil, err
		}
	}
	var over atomic.Bool
	writing := make(chan error, 1)
	go func() {
		_, err := spread(writers, max(writers, 1), func(ctx context.Context, w int) (int, error) {
			for i := w; !over.Load(); i += writers {
				if _, err := d.ourSet(ctx, i%len(d.ids)); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		writing <- err
	}()
	times, err := d.newsOf(recs, n)
	over.Store(true)
	if err := errors.Join(err, <-writing); err != nil {
		return nil, err
	}
	return sample{p50Ns: percentile(times, 50), p99Ns: percentile(times, 99)}, nil
}

// newsOf changes the sessions in turn, n times in all.
func (d *postgresDoers) newsOf(recs []store.Record, n int) (times []time.Duration, err error) {
	for i := range n {
		rec := &recs[i%len(recs)]
		rec.TokenHash = sha256.Sum256(fmt.Append(nil, i, rec.Revision))
		arrived := make(chan time.Time, 1)
		d.waitFor.Store(&expected{rec.ID, arrived})
		if rec.Revision, err = d.store.Set(context.Background(), *rec); err != nil {
			return nil, err
		}
		answered := time.Now()
		select {
		case at := <-arrived:
			times = append(times, max(at.Sub(answered), 0))
		case <-time.After(patience):
			return nil, errors.New("the node was not notified")
		}
	}
	return times, nil
}

// expected is the news that newsOf waits for.
type expected struct {
	id      string
	arrived chan time.Time // buffered
}

// notified is called for each notification of the node that holds the sessions.
func (d *postgresDoers) notified(ch store.Change) {
	e := d.waitFor.Load()
	if e != nil && ch.Kind == store.ChangeAccess && ch.ID == e.id && d.waitFor.CompareAndSwap(e, nil) {
		e.arrived <- time.Now()
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

func sweepGroups() []group {
	f := &field{}
	return []group{
		{
			name:   "sweep of 50k among 500k, store",
			ours:   side{"ours", f.side(func(f *field) (sample, error) { return f.sweep(f.sweepStore) })},
			rounds: 5,
			rows:   []row{{"", totalNs, under(60 * time.Millisecond)}},
		},
		{
			name:   "sweep of 50k among 500k, Cleanup",
			ours:   side{"ours", f.side(func(f *field) (sample, error) { return f.sweep(f.cleanup) })},
			rounds: 5,
			rows:   []row{{"", totalNs, target{}}},
		},
		{
			name:   "Get and Set during Cleanup",
			ours:   side{"ours", f.side((*field).useWhileSwept)},
			peer:   side{"undisturbed", f.side((*field).useAlone)},
			rounds: 9,
			rows: []row{
				{"p99.9", p999Ns, extraUnder(time.Millisecond)},
				{"longest", longestNs, target{}},
			},
		},
	}
}

// field is a store full of sessions, some of them expired. All groups here share one: it takes half
// a gigabyte.
type field struct {
	bridge  *bridge.Bridge
	store   *livestore.Store
	all     int
	expired int
	users   int // subjects that are open
	waits   []time.Duration
}

// side returns how to open a subject on the field.
func (f *field) side(measure func(*field) (sample, error)) func() (*subject, error) {
	return func() (*subject, error) {
		f.users++
		return &subject{
			measure: func(quick bool) (sample, error) {
				if err := f.ready(quick); err != nil {
					return nil, err
				}
				return measure(f)
			},
			close: f.leave,
		}, nil
	}
}

// ready fills the field, or puts back those that were swept.
func (f *field) ready(quick bool) error {
	from := 0
	if f.bridge == nil {
		f.all, f.expired = 500_000, 50_000
		if quick {
			f.all, f.expired = 10_000, 1000
		}
		f.store = livestore.New()
		b, err := bridge.New(f.store, &bridge.Options{Keys: [][]byte{signingKey}, AutoCleanup: bridge.Off})
		if err != nil {
			return err
		}
		f.bridge, f.waits = b, make(
			[]time.Duration,
			1<<21,
		) // touched now, so that it isn't page faults that are measured
		from = f.expired
	}
	now := time.Now()
	for n := from; n < f.all && from > 0; n++ {
		if _, err := f.store.Set(context.Background(), session(n, now, now.Add(24*time.Hour))); err != nil {
			return err
		}
	}
	for n := range f.expired {
		past := now.Add(-time.Duration(n) * time.Millisecond)
		_, err := f.store.Set(context.Background(), session(n, past.Add(-24*time.Hour), past))
		if err != nil && !errors.Is(err, store.ErrConflict) { // a conflict: nobody has swept it
			return err
		}
	}
	runtime.GC()
	return nil
}

func (f *field) leave() error {
	if f.users--; f.users > 0 || f.bridge == nil {
		return nil
	}
	err := shutDown(f.bridge)
	f.bridge, f.store, f.waits = nil, nil, nil
	return err
}

// sweep measures how long remove takes for all that is expired.
func (f *field) sweep(remove func() (int, error)) (sample, error) {
	start := time.Now()
	n, err := remove()
	took := time.Since(start)
	if err == nil {
		err = same("removed sessions", n, f.expired)
	}
	return sample{totalNs: float64(took)}, err
}

// sweepStore is the store's part.
func (f *field) sweepStore() (int, error) {
	const piece = 256 // as the gateway does it
	total, now := 0, time.Now()
	for {
		recs, err := f.store.Sweep(context.Background(), now, piece)
		total += len(recs)
		if err != nil || len(recs) < piece {
			return total, err
		}
	}
}

// cleanup is all of it: every session's end is reported, too.
func (f *field) cleanup() (int, error) { return f.bridge.Cleanup(context.Background()) }

// useWhileSwept measures the waits of somebody who uses live sessions while the expired ones are
// being removed.
func (f *field) useWhileSwept() (sample, error) {
	done := make(chan error, 1)
	go func() {
		n, err := f.cleanup()
		if err == nil {
			err = same("removed sessions", n, f.expired)
		}
		done <- err
	}()
	var swept error
	waits, err := f.use(func() bool {
		select {
		case swept = <-done:
			return false
		default:
			return true
		}
	})
	if err != nil {
		return nil, errors.Join(err, <-done)
	}
	return waited(waits), swept
}

// useAlone is the control: the same without a sweep, for about as long.
func (f *field) useAlone() (sample, error) {
	end := time.Now().Add(time.Duration(f.expired) * 2 * time.Microsecond)
	waits, err := f.use(func() bool { return time.Now().Before(end) })
	if err != nil {
		return nil, err
	}
	return waited(waits), nil
}

// use gets and sets one live session after the other for as long as it goes on, and returns how
// long each call took.
func (f *field) use(goOn func() bool) ([]time.Duration, error) {
	ctx, waits := context.Background(), f.waits[:0]
	for i := 0; i == 0 || goOn(); i++ {
		n := f.expired + i*7919%(f.all-f.expired)
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n)
		before := time.Now()
		rec, err := f.store.Get(ctx, id)
		got := time.Now()
		if err != nil {
			return nil, err
		}
		rec.Seen = got
		_, err = f.store.Set(ctx, rec)
		if err != nil {
			return nil, err
		}
		waits = append(waits, got.Sub(before), time.Since(got))
	}
	f.waits = waits
	return waits, nil
}

func waited(waits []time.Duration) sample {
	slices.Sort(waits)
	return sample{
		p999Ns:    float64(waits[len(waits)*999/1000]),
		longestNs: float64(waits[len(waits)-1]),
	}
}

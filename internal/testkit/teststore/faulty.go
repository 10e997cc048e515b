package teststore

import (
	"context"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Faulty is a store in memory, with every capability, that counts its calls by method and replaces
// calls by faults. It is safe for concurrent use.
type Faulty struct {
	*livestore.Store
	mu     sync.Mutex
	calls  map[string]int
	faults map[string][]planned
	Swept  int // records that Sweep has returned
}

type planned struct {
	nth int // the number of the call, from 1; 0: all
	do  Fault
}

// NewFaulty returns an empty store without faults.
func NewFaulty() *Faulty {
	return &Faulty{Store: livestore.New(), calls: map[string]int{}, faults: map[string][]planned{}}
}

// Next plans a fault for the nth next call of a method; 1 is the next. Methods are "Get", "Set",
// "Destroy", "Touch", "Sweep", "ByClient", "NewestByClient", "SurplusByClient" and "Ping".
func (f *Faulty) Next(n int, method string, do Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[method] = append(f.faults[method], planned{f.calls[method] + n, do})
}

// Always plans a fault for all further calls of some methods.
func (f *Faulty) Always(do Fault, methods ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, method := range methods {
		f.faults[method] = append(f.faults[method], planned{0, do})
	}
}

// Heal removes all faults.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
}

// Count returns how often a method has been called.
func (f *Faulty) Count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// Counts returns how often each method has been called.
func (f *Faulty) Counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.calls)
}

func (f *Faulty) do(ctx context.Context, method string, call func() error) error {
	f.mu.Lock()
	f.calls[method]++
	var do Fault
	for _, p := range f.faults[method] {
		if p.nth == 0 || p.nth == f.calls[method] {
			do = p.do
		}
	}
	f.mu.Unlock()
	if do == nil {
		return call()
	}
	return do(ctx, call)
}

func (f *Faulty) Get(ctx context.Context, id string) (rec store.Record, err error) {
	err = f.do(ctx, "Get", func() (err error) { rec, err = f.Store.Get(ctx, id); return err })
	return rec, err
}

func (f *Faulty) Set(ctx context.Context, rec store.Record) (rev uint64, err error) {
	err = f.do(ctx, "Set", func() (err error) { rev, err = f.Store.Set(ctx, rec); return err })
	return rev, err
}

func (f *Faulty) Destroy(ctx context.Context, id string) (was bool, err error) {
	err = f.do(ctx, "Destroy", func() (err error) { was, err = f.Store.Destroy(ctx, id); return err })
	return was, err
}

func (f *Faulty) Touch(ctx context.Context, id string, seen time.Time) error {
	return f.do(ctx, "Touch", func() error { return f.Store.Touch(ctx, id, seen) })
}

func (f *Faulty) Sweep(ctx context.Context, now time.Time, n int) (recs []store.Record, err error) {
	err = f.do(ctx, "Sweep", func() (err error) { recs, err = f.Store.Sweep(ctx, now, n); return err })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Swept += len(recs)
	return recs, err
}

func (f *Faulty) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		err := f.do(ctx, "ByClient", func() error {
			for rec, err := range f.Store.ByClient(ctx, clientID) {
				if !yield(rec, err) {
					break
				}
			}
			return nil
		})
		if err != nil {
			yield(store.Record{}, err)
		}
	}
}

func (f *Faulty) NewestByClient(ctx context.Context, clientID string, n int) (recs []store.Record, err error) {
	err = f.do(ctx, "NewestByClient", func() (err error) {
		recs, err = f.Store.NewestByClient(ctx, clientID, n)
		return err
	})
	return recs, err
}

func (f *Faulty) SurplusByClient(ctx context.Context, clientID string, keep, n int) (ids []string, err error) {
	err = f.do(ctx, "SurplusByClient", func() (err error) {
		ids, err = f.Store.SurplusByClient(ctx, clientID, keep, n)
		return err
	})
	return ids, err
}

func (f *Faulty) List(ctx context.Context) iter.Seq2[store.Record, error] {
	_ = f.do(ctx, "List", func() error { return nil }) // only counted
	return f.Store.List(ctx)
}

func (f *Faulty) Ping(ctx context.Context) error {
	return f.do(ctx, "Ping", func() error { return f.Store.Ping(ctx) })
}

package bridge_test

import (
	"context"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// threeMethodStore is a store without any optional capability.
type threeMethodStore struct{ store.Store }

// faultyStore is a store in memory, with every capability, that counts its calls by method and does what faults say.
type faultyStore struct {
	*livestore.Store
	mu     sync.Mutex
	calls  map[string]int
	faults map[string][]planned
	swept  int // how many records Sweep has returned
}

// fault is what happens instead of a call, which it can still make.
type fault func(ctx context.Context, call func() error) error

type planned struct {
	nth int // call from the beginning, 0: all
	do  fault
}

func newFaultyStore() *faultyStore {
	return &faultyStore{Store: livestore.New(), calls: map[string]int{}, faults: map[string][]planned{}}
}

// next plans a fault for the nth next call of a method: "Get", "Set", "Destroy", "Touch", "Sweep", "ByClient", "NewestByClient", "SurplusByClient" or "Ping"; 1 is the next.
func (f *faultyStore) next(n int, method string, do fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[method] = append(f.faults[method], planned{f.calls[method] + n, do})
}

// always plans a fault for all calls of some methods from now on.
func (f *faultyStore) always(do fault, methods ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, method := range methods {
		f.faults[method] = append(f.faults[method], planned{0, do})
	}
}

// heal removes all faults.
func (f *faultyStore) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
}

// count returns how often a method has been called.
func (f *faultyStore) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// counts returns how often each method has been called.
func (f *faultyStore) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.calls)
}

// refuse is a store that does nothing and returns err.
func refuse(err error) fault { return func(context.Context, func() error) error { return err } }

// loseReply is a store that does what it was asked for and returns err all the same: the outcome is unknown.
func loseReply(err error) fault {
	return func(_ context.Context, call func() error) error {
		_ = call()
		return err
	}
}

// hang is a store that doesn't answer until the context ends.
func hang(ctx context.Context, _ func() error) error {
	<-ctx.Done()
	return ctx.Err()
}

// gate stops calls until it is opened.
type gate struct{ reached, opened chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}, 100), make(chan struct{})} }

// wait is a fault, too: the call goes on when the gate opens.
func (g *gate) wait(_ context.Context, call func() error) error {
	g.reached <- struct{}{}
	<-g.opened
	return call()
}

func (f *faultyStore) do(ctx context.Context, method string, call func() error) error {
	f.mu.Lock()
	f.calls[method]++
	var do fault
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

func (f *faultyStore) Get(ctx context.Context, id string) (rec store.Record, err error) {
	err = f.do(ctx, "Get", func() (err error) { rec, err = f.Store.Get(ctx, id); return err })
	return rec, err
}

func (f *faultyStore) Set(ctx context.Context, rec store.Record) (rev uint64, err error) {
	err = f.do(ctx, "Set", func() (err error) { rev, err = f.Store.Set(ctx, rec); return err })
	return rev, err
}

func (f *faultyStore) Destroy(ctx context.Context, id string) (was bool, err error) {
	err = f.do(ctx, "Destroy", func() (err error) { was, err = f.Store.Destroy(ctx, id); return err })
	return was, err
}

func (f *faultyStore) Touch(ctx context.Context, id string, seen time.Time) error {
	return f.do(ctx, "Touch", func() error { return f.Store.Touch(ctx, id, seen) })
}

func (f *faultyStore) Sweep(ctx context.Context, now time.Time, n int) (recs []store.Record, err error) {
	err = f.do(ctx, "Sweep", func() (err error) { recs, err = f.Store.Sweep(ctx, now, n); return err })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.swept += len(recs)
	return recs, err
}

func (f *faultyStore) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
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

func (f *faultyStore) NewestByClient(ctx context.Context, clientID string, n int) (recs []store.Record, err error) {
	err = f.do(ctx, "NewestByClient", func() (err error) { recs, err = f.Store.NewestByClient(ctx, clientID, n); return err })
	return recs, err
}

func (f *faultyStore) SurplusByClient(ctx context.Context, clientID string, keep, n int) (ids []string, err error) {
	err = f.do(ctx, "SurplusByClient", func() (err error) { ids, err = f.Store.SurplusByClient(ctx, clientID, keep, n); return err })
	return ids, err
}

func (f *faultyStore) List(ctx context.Context) iter.Seq2[store.Record, error] {
	_ = f.do(ctx, "List", func() error { return nil }) // counted
	return f.Store.List(ctx)
}

func (f *faultyStore) Ping(ctx context.Context) error {
	return f.do(ctx, "Ping", func() error { return f.Store.Ping(ctx) })
}

package compat_test

import (
	"context"
	"errors"
	"sync"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// errDown is what a failingStore says.
var errDown = errors.New("the disk is full")

// failingStore is a store in memory that counts what is stored, and stores nothing while it is broken.
type failingStore struct {
	*livestore.Store
	mu     sync.Mutex
	broken bool
	sets   int
}

func newStore() *failingStore { return &failingStore{Store: livestore.New()} }

// breakDown makes every Set fail until heal is called.
func (f *failingStore) breakDown() { f.setBroken(true) }
func (f *failingStore) heal()      { f.setBroken(false) }

func (f *failingStore) setBroken(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

// stored returns how many Sets have succeeded.
func (f *failingStore) stored() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sets
}

// sessions returns how many sessions there are.
func (f *failingStore) sessions(ctx context.Context) (n int, err error) {
	for _, err := range f.List(ctx) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Set implements store.Store.
func (f *failingStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	if broken {
		return 0, errDown
	}
	rev, err := f.Store.Set(ctx, rec)
	if err == nil {
		f.mu.Lock()
		f.sets++
		f.mu.Unlock()
	}
	return rev, err
}

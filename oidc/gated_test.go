package oidc_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

var errDown = errors.New("the store is down")

// gated is a store in memory that calls a function before each operation, and fails with its error.
// Its namespaces do the same.
type gated struct {
	*livestore.Store
	gate *gate
	name string // of the namespace
}

type gate struct {
	mu     sync.Mutex
	before func(op string) error
}

func newGated() gated { return gated{livestore.New(), &gate{}, ""} }

// use sets the function; nil: none. op is the namespace, a slash and the name of the method. One
// call runs at a time, and none after use(nil).
func (s gated) use(before func(op string) error) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.before = before
}

func (s gated) pass(op string) error {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.gate.before == nil {
		return nil
	}
	return s.gate.before(s.name + "/" + op)
}

func (s gated) App(name string) store.Store {
	return gated{s.Store.App(name).(*livestore.Store), s.gate, name}
}

func (s gated) Get(ctx context.Context, id string) (store.Record, error) {
	if err := s.pass("Get"); err != nil {
		return store.Record{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s gated) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := s.pass("Set"); err != nil {
		return 0, err
	}
	return s.Store.Set(ctx, rec)
}

func (s gated) Destroy(ctx context.Context, id string) (bool, error) {
	if err := s.pass("Destroy"); err != nil {
		return false, err
	}
	return s.Store.Destroy(ctx, id)
}

func (s gated) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return s.gatedList("ByUser", s.Store.ByUser(ctx, userID))
}

func (s gated) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	return s.gatedList("ByClient", s.Store.ByClient(ctx, clientID))
}

func (s gated) gatedList(op string, all iter.Seq2[store.Record, error]) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := s.pass(op); err != nil {
			yield(store.Record{}, err)
			return
		}
		all(yield)
	}
}

// records returns how many records the namespace has.
func (s gated) records(t testing.TB) (n int) {
	t.Helper()
	for _, err := range s.Store.App("sessionbridge.oidc").(store.Lister).List(t.Context()) {
		require.NoError(t, err)
		n++
	}
	return n
}

// pending returns how many records of the namespace are of logins that are being completed.
func (s gated) pending(t testing.TB) (n int) {
	t.Helper()
	for rec, err := range s.Store.App("sessionbridge.oidc").(store.Lister).List(t.Context()) {
		require.NoError(t, err)
		if strings.Contains(string(rec.Data), "pending") {
			n++
		}
	}
	return n
}

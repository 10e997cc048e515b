package storetest_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// minimal is a backend with the three required methods and no capability.
type minimal struct {
	mu      sync.Mutex
	records map[string]store.Record
}

func newMinimal() *minimal { return &minimal{records: map[string]store.Record{}} }

func (m *minimal) Get(ctx context.Context, id string) (store.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return store.Record{}, context.Cause(ctx)
	}
	rec, ok := m.records[id]
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	return rec.Clone(), nil
}

func (m *minimal) Set(ctx context.Context, rec store.Record) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	stored, ok := m.records[rec.ID]
	switch {
	case !ok && rec.Revision != 0:
		return 0, store.ErrNotFound
	case rec.Revision != stored.Revision:
		return 0, store.ErrConflict
	case ok:
		store.KeepSeen(&stored, &rec)
	}
	rec.Revision++
	m.records[rec.ID] = rec.Clone()
	return rec.Revision, nil
}

func (m *minimal) Destroy(ctx context.Context, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	_, ok := m.records[id]
	delete(m.records, id)
	return ok, nil
}

// TestMinimalStorePasses shows a complete custom backend, and the test that it needs.
func TestMinimalStorePasses(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return newMinimal() })
}

package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/sessionbridge/sessionbridge/store"
	"github.com/sessionbridge/sessionbridge/store/storetest"
)

// mapStore is a complete backend. Its test is one line: storetest.Run(t, func(*testing.T)
// store.Store { return &mapStore{} }).
type mapStore struct {
	mu      sync.Mutex
	records map[string]store.Record
}

func (m *mapStore) Get(ctx context.Context, id string) (store.Record, error) {
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

func (m *mapStore) Set(ctx context.Context, rec store.Record) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	stored, ok := m.records[rec.ID]
	switch {
	case !ok && rec.Revision != 0:
		return 0, store.ErrNotFound // the session has ended: a late writer must not bring it back
	case rec.Revision != stored.Revision:
		return 0, store.ErrConflict
	case ok:
		store.KeepSeen(&stored, &rec)
	}
	if m.records == nil {
		m.records = map[string]store.Record{}
	}
	rec.Revision++
	m.records[rec.ID] = rec.Clone()
	return rec.Revision, nil
}

func (m *mapStore) Destroy(ctx context.Context, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	_, ok := m.records[id]
	delete(m.records, id)
	return ok, nil
}

// A custom backend needs three methods. Package storetest checks that they keep the contract.
func ExampleStore() {
	ctx := context.Background()
	var sessions store.Store = &mapStore{}

	revision, err := sessions.Set(ctx, store.Record{ID: "s1", Data: []byte(`{}`)})
	fmt.Println(revision, err)
	_, err = sessions.Set(ctx, store.Record{ID: "s1", Data: []byte(`{}`)})
	fmt.Println(err)
	existed, err := sessions.Destroy(ctx, "s1")
	fmt.Println(existed, err)
	_, err = sessions.Set(ctx, store.Record{ID: "s1", Revision: revision, Data: []byte(`{}`)})
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// store: revision conflict
	// true <nil>
	// store: no such record
}

func TestExampleKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return &mapStore{} })
}

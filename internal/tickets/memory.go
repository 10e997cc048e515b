package tickets

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// MaxInMemory is how many tickets are kept in memory, for a store without a place for them. Another
// one replaces the oldest.
const MaxInMemory = 1 << 16

// memory keeps tickets in this process. They all have the same lifetime, so they expire in the
// order in which they were issued. Records are never changed and may be shared.
type memory struct {
	mu    sync.Mutex
	byID  map[string]store.Record
	order []store.Record // including those that were redeemed, until they expire
}

func newMemory() *memory { return &memory{byID: make(map[string]store.Record)} }

// Get implements store.Store.
func (m *memory) Get(_ context.Context, id string) (store.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.byID[id]
	if !ok {
		return rec, store.ErrNotFound
	}
	return rec, nil
}

// Set implements store.Store, for new records only.
func (m *memory) Set(_ context.Context, rec store.Record) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.byID[rec.ID]; ok || rec.Revision != 0 {
		return 0, store.ErrConflict
	}
	if len(m.order) == MaxInMemory {
		m.drop(1)
	}
	rec.Revision = 1
	m.byID[rec.ID] = rec
	m.order = append(m.order, rec)
	return rec.Revision, nil
}

// Destroy implements store.Store.
func (m *memory) Destroy(_ context.Context, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.byID[id]
	delete(m.byID, id)
	return ok, nil
}

// Sweep implements store.Sweeper.
func (m *memory) Sweep(_ context.Context, now time.Time, n int) (swept []store.Record, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	due := 0
	for due < len(m.order) && len(swept) < n && m.order[due].Expired(now) {
		if rec, ok := m.byID[m.order[due].ID]; ok {
			swept = append(swept, rec)
		}
		due++
	}
	m.drop(due)
	return swept, nil
}

// drop removes the n oldest. The lock is held.
func (m *memory) drop(n int) {
	for i := range n {
		delete(m.byID, m.order[i].ID)
		m.order[i] = store.Record{}
	}
	if m.order = m.order[n:]; len(m.order) == 0 {
		m.order = nil
	}
}

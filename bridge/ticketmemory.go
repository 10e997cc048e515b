package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// ticketMemory holds tickets for a store that has no place of their own for them: in this process, and until it ends. All of them live for the same time, so that they
// expire in the order in which they came. Records are never changed, and so may be shared.
type ticketMemory struct {
	mu    sync.Mutex
	byID  map[string]store.Record
	order []store.Record // those that were redeemed, too, until they expire
}

// maxTicketsInMemory is how many there may be. One more takes the place of the oldest.
const maxTicketsInMemory = 1 << 16

func newTicketMemory() *ticketMemory { return &ticketMemory{byID: make(map[string]store.Record)} }

// Get implements store.Store.
func (m *ticketMemory) Get(_ context.Context, id string) (store.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.byID[id]
	if !ok {
		return rec, store.ErrNotFound
	}
	return rec, nil
}

// Set implements store.Store, for a ticket that is new.
func (m *ticketMemory) Set(_ context.Context, rec store.Record) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.byID[rec.ID]; ok || rec.Revision != 0 {
		return 0, store.ErrConflict
	}
	if len(m.order) == maxTicketsInMemory {
		m.drop(1)
	}
	rec.Revision = 1
	m.byID[rec.ID] = rec
	m.order = append(m.order, rec)
	return rec.Revision, nil
}

// Destroy implements store.Store.
func (m *ticketMemory) Destroy(_ context.Context, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.byID[id]
	delete(m.byID, id)
	return ok, nil
}

// Sweep implements store.Sweeper.
func (m *ticketMemory) Sweep(_ context.Context, now time.Time, n int) (swept []store.Record, _ error) {
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

// drop forgets the n oldest. The lock is held.
func (m *ticketMemory) drop(n int) {
	for i := range n {
		delete(m.byID, m.order[i].ID)
		m.order[i] = store.Record{}
	}
	if m.order = m.order[n:]; len(m.order) == 0 {
		m.order = nil
	}
}

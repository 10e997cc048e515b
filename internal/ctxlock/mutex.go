package ctxlock

import (
	"sync"
	"sync/atomic"
)

// Mutex is a lock for which a wait can't be cancelled. The zero value is free. It must not be
// copied.
type Mutex struct {
	users atomic.Int32 // the holder and those that wait
	once  sync.Once
	turns chan struct{} // made for the first that has to wait
}

// Lock waits for the lock.
func (m *Mutex) Lock() {
	if m.users.Add(1) > 1 {
		<-m.turn()
	}
}

// Unlock hands the lock over to the next that waits, or frees it.
func (m *Mutex) Unlock() {
	if m.users.Add(-1) > 0 {
		m.turn() <- struct{}{} // there is room: only the holder sends
	}
}

func (m *Mutex) turn() chan struct{} {
	m.once.Do(func() { m.turns = make(chan struct{}, 1) })
	return m.turns
}

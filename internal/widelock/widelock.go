// Package widelock has a lock for what many processors read and few calls change.
//
// All readers of a [sync.RWMutex] write the one word that counts them, so on a machine with many
// processors they wait for one another although none excludes another. A [Lock] has several, of which
// a reader takes one and a writer all.
package widelock

import "sync"

// width is how many locks a Lock has: few, because a writer takes them all.
const width = 8

// Lock is a readers-writer lock. The zero value is free. It must not be copied.
//
// As with [sync.RWMutex], a goroutine that holds it for reading must not take it again, not even with
// another key.
type Lock struct {
	parts [width]part
}

// part has a cache line of its own.
type part struct {
	sync.RWMutex
	_ [64 - 24]byte
}

// RLock takes the lock for reading. The caller calls RUnlock of what it returns. The key is any text
// that differs between callers that read at the same time, such as the name of what they look for.
func (l *Lock) RLock(key string) *sync.RWMutex {
	p := &l.parts[hash(key)%width].RWMutex
	p.RLock()
	return p
}

// Lock takes the lock for writing: no reader has it then.
func (l *Lock) Lock() {
	for i := range l.parts {
		l.parts[i].Lock()
	}
}

// Unlock gives back what Lock has taken.
func (l *Lock) Unlock() {
	for i := range l.parts {
		l.parts[i].Unlock()
	}
}

// hash is FNV-1a of the last bytes of the key, which differ among UUIDs.
func hash(key string) uint32 {
	h := uint32(2166136261)
	for i := max(0, len(key)-8); i < len(key); i++ {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return h
}

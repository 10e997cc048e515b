package ctxlock

import (
	"context"
	"slices"
	"sync"
)

// Lock is a lock that can be waited for until a context ends. The zero value is free. It must not be
// copied.
type Lock struct {
	mu      sync.Mutex
	held    bool
	waiting []chan struct{} // in the order of arrival; the lock is handed over by closing one
}

// Lock waits for the lock. If ctx has ended, or ends first, it returns the cause and doesn't take
// the lock, even if that is free.
func (l *Lock) Lock(ctx context.Context) error {
	if ctx.Err() != nil {
		return Cause(ctx)
	}
	if l.TryLock() || l.LockUntil(ctx.Done()) { // asking a context for Done may make a channel
		return nil
	}
	return Cause(ctx)
}

// LockUntil waits for the lock until stop is closed. It reports whether it has taken the lock.
func (l *Lock) LockUntil(stop <-chan struct{}) bool {
	turn := l.enqueue()
	if turn == nil {
		return true
	}
	select {
	case <-turn:
		return true
	case <-stop:
		l.leave(turn)
		return false
	}
}

// LockOrWait takes a free lock without asking ctx, and waits like Lock if it isn't free.
func (l *Lock) LockOrWait(ctx context.Context) error {
	if l.TryLock() {
		return nil
	}
	return l.Lock(ctx)
}

// enqueue takes the lock if it is free, and returns nil. Otherwise it returns what is closed when
// the lock is handed over.
func (l *Lock) enqueue() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		l.held = true
		return nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	return turn
}

// leave ends a wait. If the lock was handed over at that moment it goes to the next.
func (l *Lock) leave(turn chan struct{}) {
	l.mu.Lock()
	i := slices.Index(l.waiting, turn)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	l.mu.Unlock()
	if i < 0 {
		l.Unlock()
	}
}

// TryLock takes the lock if it is free.
func (l *Lock) TryLock() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	free := !l.held
	l.held = true
	return free
}

// Unlock hands the lock, which must be held, over to the next that waits, or frees it.
func (l *Lock) Unlock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.held = false
		l.waiting = nil
		return
	}
	close(l.waiting[0])
	l.waiting = slices.Delete(l.waiting, 0, 1)
}

// Cause returns the cause of the end of ctx, which has ended. It is never nil, even if ctx is not
// of package context and has no cause.
func Cause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

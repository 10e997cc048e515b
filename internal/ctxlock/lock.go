package ctxlock

import (
	"context"
	"sync"
)

// Lock is a lock that can be waited for until a context ends. The zero value is free. It must not be
// copied.
type Lock struct {
	mu   sync.Mutex
	last *waiter // of a ring in the order of arrival; &none: nothing waits for the holder; nil: the lock is free
}

// waiter is a wait for a Lock, which is handed over by closing turn.
type waiter struct {
	turn chan struct{}
	next *waiter // nil: it waits no longer
}

var none waiter

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

// LockOrWait takes a free lock without asking ctx, and waits like Lock if it isn't free.
func (l *Lock) LockOrWait(ctx context.Context) error {
	if l.TryLock() {
		return nil
	}
	return l.Lock(ctx)
}

// LockUntil waits for the lock until stop is closed. It reports whether it has taken the lock.
func (l *Lock) LockUntil(stop <-chan struct{}) bool {
	w := l.enqueue()
	if w == nil {
		return true
	}
	select {
	case <-w.turn:
		return true
	case <-stop:
		l.leave(w)
		return false
	}
}

// enqueue takes the lock if it is free, and returns nil. Otherwise the caller has to wait.
func (l *Lock) enqueue() *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = &none
		return nil
	}
	w := &waiter{turn: make(chan struct{})}
	if w.next = w; l.last != &none {
		w.next, l.last.next = l.last.next, w
	}
	l.last = w
	return w
}

// leave ends a wait. If the lock was handed over at that moment it goes to the next.
func (l *Lock) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.next == nil {
		l.handOver()
		return
	}
	before := l.last
	for before.next != w {
		before = before.next
	}
	l.remove(before)
}

// remove removes the waiter behind another one, or behind itself.
func (l *Lock) remove(before *waiter) {
	w := before.next
	before.next = w.next
	switch w {
	case before:
		l.last = &none
	case l.last:
		l.last = before
	}
	w.next = nil
}

// TryLock takes the lock if it is free.
func (l *Lock) TryLock() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	free := l.last == nil
	if free {
		l.last = &none
	}
	return free
}

// Unlock hands the lock, which must be held, over to the next that waits, or frees it.
func (l *Lock) Unlock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handOver()
}

func (l *Lock) handOver() {
	if l.last == &none {
		l.last = nil
		return
	}
	first := l.last.next
	l.remove(l.last)
	close(first.turn)
}

// Cause returns the cause of the end of ctx, which has ended. It is never nil, even if ctx is not
// of package context and has no cause.
func Cause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

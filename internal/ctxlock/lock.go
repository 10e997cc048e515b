package ctxlock

import "context"

// Lock is a lock that can be waited for until a context ends. Make it with New; a copy is the same
// lock.
type Lock chan struct{}

// New returns a Lock that is free.
func New() Lock { return make(Lock, 1) }

// Lock waits for the lock. If ctx has ended, or ends first, it returns the cause and doesn't take
// the lock, even if that is free.
func (l Lock) Lock(ctx context.Context) error {
	if ctx.Err() != nil {
		return Cause(ctx)
	}
	if l.TryLock() { // asking a context for Done may make a channel
		return nil
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return Cause(ctx)
	}
}

// LockOrWait takes a free lock without asking ctx, and waits like Lock if it isn't free.
func (l Lock) LockOrWait(ctx context.Context) error {
	if l.TryLock() {
		return nil
	}
	return l.Lock(ctx)
}

// TryLock takes the lock if it is free.
func (l Lock) TryLock() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

// Unlock frees the lock, which must be held.
func (l Lock) Unlock() { <-l }

// Cause returns the cause of the end of ctx, which has ended. It is never nil, even if ctx is not
// of package context and has no cause.
func Cause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

package filestore

import "context"

// exclusive is a mutex that can be waited for with a context, and unlocked by another goroutine.
type exclusive chan struct{}

func newExclusive() exclusive { return make(exclusive, 1) }

func (x exclusive) lock()   { x <- struct{}{} }
func (x exclusive) unlock() { <-x }

func (x exclusive) tryLock() bool {
	select {
	case x <- struct{}{}:
		return true
	default:
		return false
	}
}

func (x exclusive) enter(ctx context.Context) (leave func(), err error) {
	select {
	case x <- struct{}{}:
		return x.unlock, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

package conn

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// limiter ends operations that take longer than the store's timeout. All of them take equally long at
// most, so the one that began first is the first to time out, and one timer is enough. It stays set when
// an operation ends: a new timer for each would wake the runtime's poller each time, which costs a read
// a tenth of its time.
type limiter struct {
	mu      sync.Mutex
	running list.List // of *operation, in the order of their deadlines
	set     bool      // the timer
}

// operation is the context of an operation that ends with its parent or at its deadline.
type operation struct {
	context.Context // that cancel ends
	cancel          context.CancelCauseFunc
	deadline        time.Time
}

// begin returns a context that ends after timeout, and a function that the operation calls at its end.
func (l *limiter) begin(ctx context.Context, timeout time.Duration) (limited context.Context, end func()) {
	deadline := time.Now().Add(timeout)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		return ctx, func() {}
	}
	op := &operation{deadline: deadline}
	op.Context, op.cancel = context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.running.PushBack(op)
	if !l.set {
		l.set = true
		time.AfterFunc(timeout, l.expire)
	}
	return op, func() {
		l.mu.Lock()
		l.running.Remove(at)
		l.mu.Unlock()
		op.cancel(nil)
	}
}

// expire ends the operations whose time is over, and sets the timer for the next one.
func (l *limiter) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for now := time.Now(); l.running.Len() > 0; {
		first := l.running.Front()
		op := first.Value.(*operation) //nolint:forcetypeassert // begin adds no others
		if left := op.deadline.Sub(now); left > 0 {
			time.AfterFunc(left, l.expire)
			return
		}
		l.running.Remove(first)
		op.cancel(context.DeadlineExceeded)
	}
	l.set = false
}

// Deadline implements context.Context.
func (o *operation) Deadline() (time.Time, bool) { return o.deadline, true }

// Err implements context.Context.
func (o *operation) Err() error {
	err := o.Context.Err()
	if err != nil && context.Cause(o.Context) == context.DeadlineExceeded { //nolint:errorlint // that of expire
		return context.DeadlineExceeded
	}
	return err
}

// timedOut completes the error of an operation that has timed out: contexts that pgx has derived from
// that of the operation report a cancellation only.
func timedOut(op context.Context, err error) error {
	if errors.Is(err, context.Canceled) && op.Err() == context.DeadlineExceeded { //nolint:errorlint // as above
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

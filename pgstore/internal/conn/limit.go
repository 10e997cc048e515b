package conn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// limiter ends operations that take longer than the store's timeout. All of them take equally long at most,
// so the one that began first is the first to time out, and one timer is enough. It stays set when an
// operation ends: a new timer for each would wake the runtime's poller each time, which costs a read a tenth
// of its time.
type limiter struct {
	mu          sync.Mutex
	first, last *operation // those that run, in the order of their deadlines
	set         bool       // the timer
}

// operation is the context of an operation that ends with its parent or at its deadline.
type operation struct {
	context.Context // that cancel ends
	cancel          context.CancelCauseFunc
	deadline        time.Time

	previous, next *operation
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
	op.previous = l.last
	if l.last == nil {
		l.first = op
	} else {
		l.last.next = op
	}
	l.last = op
	if !l.set {
		l.set = true
		time.AfterFunc(timeout, l.expire)
	}
	return op, func() { l.end(op) }
}

// end frees an operation's resources.
func (l *limiter) end(op *operation) {
	l.mu.Lock()
	l.remove(op)
	l.mu.Unlock()
	op.cancel(nil)
}

// remove removes an operation unless it was removed before.
func (l *limiter) remove(op *operation) {
	switch {
	case op.previous != nil:
		op.previous.next = op.next
	case l.first == op:
		l.first = op.next
	default:
		return
	}
	if op.next != nil {
		op.next.previous = op.previous
	} else {
		l.last = op.previous
	}
	op.previous, op.next = nil, nil
}

// expire ends the operations whose time is over, and sets the timer for the next one.
func (l *limiter) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for now := time.Now(); l.first != nil; {
		op := l.first
		if left := op.deadline.Sub(now); left > 0 {
			time.AfterFunc(left, l.expire)
			return
		}
		l.remove(op)
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

// timedOut completes the error of an operation that has timed out: the contexts that pgx derives from its
// context have only been cancelled.
func timedOut(op context.Context, err error) error {
	if errors.Is(err, context.Canceled) && op.Err() == context.DeadlineExceeded { //nolint:errorlint // as above
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

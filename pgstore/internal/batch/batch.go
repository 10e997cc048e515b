// Package batch executes operations one by one while few are under way, and several at once when more
// of them wait.
//
// A statement for one operation is the fastest way as long as the server has time for it. When as many
// are under way as there are connections, an operation would wait for one of them: instead it joins
// those that wait, and the next connection that becomes free executes them together. So batches are as
// large as the load requires, and no operation ever waits for others to come.
//
// After a large batch the processors are the limit, and a statement for one operation would take their time
// from many others. So from then on all operations are executed in batches, of which few are under way, until
// some in a row have been small.
package batch

import (
	"context"
	"runtime"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is what a Queue needs. All fields but Own are required.
type Config[A, R any] struct {
	Background *background.Group // runs batches; its end is the queue's
	Alone      int               // operations that are under way before others wait
	Most       int               // operations of a batch
	Key        func(A) string    // operations of a batch have different keys

	// Own returns an argument that shares no memory with the caller's, for an operation that may go on when
	// its caller has left. Nil: no argument shares any.
	Own func(A) A

	// One executes an operation in the goroutine of its caller.
	One func(ctx context.Context, arg A) (R, error)

	// Many executes operations at once. Its results are in their order.
	Many func(ctx context.Context, args []A) []Result[R]
}

// Result is that of an operation.
type Result[R any] struct {
	Value R
	Err   error
}

// Queue executes operations of one kind. New makes one. It is safe for concurrent use.
type Queue[A, R any] struct {
	Config[A, R]

	mu      sync.Mutex
	running int // statements
	recent  int // operations of the last batch, or of larger ones before it, of each the less the longer ago
	waiting []*call[A, R]
}

const (
	large       = 8 // operations of a large batch
	largeAtOnce = 2 // batches that are under way then: one on the server, and one here
)

// call is an operation that waits.
type call[A, R any] struct {
	arg  A
	done chan Result[R] // buffered
}

// New returns a queue.
func New[A, R any](c Config[A, R]) *Queue[A, R] { return &Queue[A, R]{Config: c} }

// Do executes an operation. If the context ends while the operation waits, it is not executed, and the
// error is the cause; if it ends later, the outcome is unknown.
func (q *Queue[A, R]) Do(ctx context.Context, arg A) (R, error) {
	q.mu.Lock()
	if q.running < q.Alone && q.recent < large {
		q.running++
		q.mu.Unlock()
		defer q.finished()
		return q.One(ctx, arg)
	}
	if q.Own != nil {
		arg = q.Own(arg)
	}
	c := &call[A, R]{arg, make(chan Result[R], 1)}
	q.waiting = append(q.waiting, c)
	begins := q.running < min(largeAtOnce, q.Alone)
	if begins {
		q.running++
	}
	q.mu.Unlock()
	if begins {
		q.begin(func() []*call[A, R] {
			runtime.Gosched() // so that others that are about to come join it
			return q.next()
		})
	}
	select {
	case r := <-c.done:
		return r.Value, r.Err
	case <-ctx.Done():
		q.leave(c)
		var none R
		return none, context.Cause(ctx)
	}
}

// leave removes a call unless it is being executed.
func (q *Queue[A, R]) leave(c *call[A, R]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, other := range q.waiting {
		if other == c {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			return
		}
	}
}

// finished is called when a statement has ended. Calls that wait take its place.
func (q *Queue[A, R]) finished() {
	if calls := q.next(); len(calls) > 0 {
		q.begin(func() []*call[A, R] { return calls })
	}
}

// begin executes calls, in the background.
func (q *Queue[A, R]) begin(first func() []*call[A, R]) {
	if q.Background.Go(func() { q.run(first()) }) {
		return
	}
	for calls := first(); len(calls) > 0; calls = q.next() {
		for _, c := range calls {
			c.done <- Result[R]{Err: store.ErrClosed}
		}
	}
}

// run executes calls, and those that wait by then, until there are none.
func (q *Queue[A, R]) run(calls []*call[A, R]) {
	for ; len(calls) > 0; calls = q.next() {
		args := make([]A, len(calls))
		for i, c := range calls {
			args[i] = c.arg
		}
		for i, r := range q.Many(q.Background.Context(), args) {
			calls[i].done <- r
		}
	}
}

// next removes the calls of the next batch from those that wait. Without any there is one statement
// less.
func (q *Queue[A, R]) next() (calls []*call[A, R]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	keys, rest := make(map[string]struct{}, min(len(q.waiting), q.Most)), q.waiting[:0]
	for _, c := range q.waiting {
		key := q.Key(c.arg)
		_, twice := keys[key]
		if twice || len(calls) == q.Most {
			rest = append(rest, c)
			continue
		}
		keys[key] = struct{}{}
		calls = append(calls, c)
	}
	clear(q.waiting[len(rest):])
	q.waiting = rest
	if len(calls) == 0 {
		q.running--
		return nil
	}
	q.recent = max(len(calls), q.recent*3/4)
	return calls
}

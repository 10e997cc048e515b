package filestore

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/sessionbridge/sessionbridge/store"
)

type opKind byte

const (
	opSet opKind = iota
	opDestroy
	opTouch
	opSweep
	opCheckpoint
)

// op is a change on its way through the committer.
type op struct {
	kind  opKind
	space *space
	key   []byte // the ID, as appendID stores it
	known lookup

	value    value      // set: what to store
	revision uint64     // set: that must be stored now
	seen     int64      // touch
	now      int64      // sweep
	due      []*overdue // sweep
	always   bool       // checkpoint: also if nothing has changed

	state   atomic.Int32
	done    chan struct{} // gets one value when the committer has done with it
	outcome outcome
}

// outcome is what the committer answers.
type outcome struct {
	err      error
	revision uint64          // set
	existed  bool            // destroy; sweep: it was done, if not wholly
	finished <-chan struct{} // checkpoint: closed when everything that was stored before is in the database
	stuck    <-chan struct{} // checkpoint: closed when there is no room for that
}

// lookup is what the database had for the session when the caller looked, which saves the committer from looking: it has little
// time. It is out of date when the epoch has changed since, or an overlay has the session.
type lookup struct {
	epoch   uint64
	version *version
}

// overdue is a session whose entry in the index by expiry is due.
type overdue struct {
	key     []byte
	at      int64 // the entry
	known   lookup
	expires int64
	sorted  bool  // by its expiry, not by its entry
	keep    bool  // though it has expired
	again   bool  // set by the committer, if it expires at another time
	removed value // set by the committer, if it has removed it
}

// States of an op. Whoever changes it from waiting has it.
const (
	opWaiting   = iota
	opTaken     // by the committer
	opAbandoned // by its caller
)

// ops are used again, but not their channels: one that was made in a bubble of testing/synctest
// must not be used outside of it.
var ops = sync.Pool{New: func() any { return new(op) }}

func newOp(kind opKind, sp *space, id string) *op {
	o := ops.Get().(*op) //nolint:forcetypeassert // nothing else is in there
	o.kind, o.space, o.done = kind, sp, make(chan struct{}, 1)
	o.key = appendID(o.key[:0], id)
	return o
}

// free gives the op back. Nobody else may have it.
func (o *op) free() {
	*o = op{key: o.key}
	ops.Put(o)
}

// size is the most that the op adds to the log.
func (o *op) size() int {
	if o.kind != opSweep {
		return o.space.entrySize(o.key) + len(o.value)
	}
	n := 0
	for _, d := range o.due {
		n += o.space.entrySize(d.key)
	}
	return n
}

// entrySize is the most that an entry of the log takes, but for a value.
func (sp *space) entrySize(key []byte) int { return maxEntryHead + len(sp.name) + len(key) }

func (o *op) answer(out outcome) {
	o.outcome = out
	o.done <- struct{}{}
}

// do has the committer do the op and returns what came of it. If ctx ends first the change isn't made, unless it is being made
// already: then nobody knows. Of a sweep one must know, what it removes is to be returned: it is waited for.
func (e *engine) do(ctx context.Context, o *op) outcome {
	if !e.queue.add(o) {
		o.free()
		return outcome{err: store.ErrClosed}
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.state.CompareAndSwap(opWaiting, opAbandoned) {
			return outcome{err: context.Cause(ctx)} // the committer will find it; it isn't used again
		}
		if o.kind == opSweep {
			<-o.done
			break
		}
		select { // it may be done already, and then we do know
		case <-o.done:
		default:
			return outcome{err: context.Cause(ctx)}
		}
	}
	out := o.outcome
	o.free()
	return out
}

// queue is where ops wait for the committer.
type queue struct {
	mu     sync.Mutex
	ops    []*op
	closed bool
	wake   chan struct{} // gets a value when there is something to do
}

// add puts the op at the end. It is false if the queue is closed.
func (q *queue) add(o *op) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.ops = append(q.ops, o)
	first := len(q.ops) == 1
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take returns what waits, in order. The slice that it is given is used for what comes next.
func (q *queue) take(empty []*op) []*op {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.ops
	clear(empty[:cap(empty)])
	q.ops = empty[:0]
	return waiting
}

// close refuses every later op.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

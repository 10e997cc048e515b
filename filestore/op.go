package filestore

import (
	"sync"
	"sync/atomic"
)

type opKind byte

const (
	opSet opKind = iota
	opDestroy
	opTouch
	opSweep
	opCheckpoint
)

// op is a request to the committer.
type op struct {
	kind  opKind
	space *space
	key   []byte // of the session
	known lookup

	value    value      // set: the new record
	revision uint64     // set: the expected revision
	seen     int64      // touch
	now      int64      // sweep
	due      []*overdue // sweep
	always   bool       // checkpoint: also if nothing has changed

	taken   atomic.Bool
	done    chan struct{} // receives one value when the outcome is there
	outcome outcome
}

// outcome is the answer of the committer.
type outcome struct {
	err      error
	revision uint64      // set
	existed  bool        // destroy; sweep: it was made, at least in part
	last     *checkpoint // checkpoint: all earlier changes are in the database when it is finished
}

// lookup is the database's version of a session, which callers look up to save the committer's
// time. It is out of date if the epoch has changed, or if an overlay has the session.
type lookup struct {
	epoch   uint64
	version *version
}

// overdue is a session whose entry in the index by expiry is due.
type overdue struct {
	key     []byte
	at      int64 // of the entry
	expires int64
	known   lookup
	keep    bool  // although it has expired
	retry   bool  // set by the committer: it expires at another time
	removed value // set by the committer: it was removed
}

// ops are used again, but not their channels: one that was made in a bubble of testing/synctest
// must not be used outside of it.
var ops = sync.Pool{New: func() any { return new(op) }}

func newOp(kind opKind, sp *space, id string) *op {
	o := ops.Get().(*op) //nolint:forcetypeassert // the pool has nothing else
	o.kind, o.space, o.done = kind, sp, make(chan struct{}, 1)
	o.key = appendID(o.key[:0], id)
	return o
}

// free returns the op to the pool.
func (o *op) free() {
	*o = op{key: o.key}
	ops.Put(o)
}

// size is the most bytes that the op adds to the log.
func (o *op) size() int {
	n := o.space.entrySize(o.key) + len(o.value)
	for _, d := range o.due {
		n += o.space.entrySize(d.key)
	}
	return n
}

// take reports whether the caller is the first: the committer, which then answers the op, or the
// one that waits for the answer and abandons the op.
func (o *op) take() bool { return o.taken.CompareAndSwap(false, true) }

func (o *op) answer(out outcome) {
	o.outcome = out
	o.done <- struct{}{}
}

// queue holds the ops that wait for the committer.
type queue struct {
	mu     sync.Mutex
	ops    []*op
	closed bool
	wake   chan struct{} // receives a value when the queue is no longer empty
}

// enqueue appends the op. It reports false if the queue is closed.
func (q *queue) enqueue(o *op) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if q.ops = append(q.ops, o); len(q.ops) == 1 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// drain returns all ops, in order. It reuses the slice for the ops that follow.
func (q *queue) drain(reuse []*op) []*op {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.ops
	clear(reuse[:cap(reuse)])
	q.ops = reuse[:0]
	return waiting
}

// close makes enqueue refuse ops.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

package outbox

import (
	"math"
	"slices"
	"sync"
)

// Queue holds the messages that wait to be sent to one connection. The first one waits without an
// allocation. The zero value is ready to use, and refuses messages until Open.
type Queue struct {
	mu       sync.Mutex
	limit    int32
	n        int32 // messages that wait
	insisted int32 // of these, those of Insist
	overflow Overflow
	closed   bool
	busy     bool // a worker has the queue, or the queue waits for one
	send     func(m *Message) error
	first    *Message
	rest     []*Message
	drained  chan struct{} // closed when busy becomes false; nil: no caller waits for that
	next     *Queue        // in a Batch, or the Sender's list
}

// Overflow says what happens to a message for a full queue.
type Overflow uint8

// The overflow policies.
const (
	CloseQueue Overflow = iota // the queue is closed and its messages are dropped
	DropOldest                 // the message that has waited for longest is dropped
	DropNewest                 // the offered message is dropped
)

// Outcome is what has become of an offered message.
type Outcome uint8

// The outcomes of Offer.
const (
	Refused        Outcome = iota // the queue is closed or was never opened
	Queued                        // the message waits to be sent
	ReplacedOldest                // likewise, and the oldest message was dropped for it
	Dropped                       // the queue is full, and the message was dropped
	Overflowed                    // the queue was full, and has been closed
)

// Open lets the queue take up to limit messages, which send writes to the connection. An error of
// send closes the queue. A second call replaces the three.
func (q *Queue) Open(limit int, overflow Overflow, send func(m *Message) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit, q.overflow, q.send = int32(min(limit, math.MaxInt32)), overflow, send //nolint:gosec // bounded
}

// Offer puts m, which has no Note, into the queue. A queue that needs a worker is added to wake, which
// the caller hands to Sender.Wake.
func (q *Queue) Offer(m *Message, wake *Batch) Outcome {
	q.mu.Lock()
	defer q.mu.Unlock()
	outcome := Queued
	switch {
	case q.send == nil || q.closed:
		return Refused
	case q.n-q.insisted < q.limit:
	case q.overflow == DropNewest:
		return Dropped
	case q.overflow == DropOldest:
		q.dropOldest()
		outcome = ReplacedOldest
	default:
		q.closed = true
		q.clear()
		return Overflowed
	}
	if q.push(m) {
		wake.add(q)
	}
	return outcome
}

// Insist puts m, which has a Note, into the queue. It is not dropped for another message, and doesn't
// count towards the limit: the caller limits how many of these wait. Otherwise it is like Offer.
func (q *Queue) Insist(m *Message, wake *Batch) Outcome {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.send == nil || q.closed {
		return Refused
	}
	q.insisted++
	if q.push(m) {
		wake.add(q)
	}
	return Queued
}

// Close drops the messages that wait, and refuses further ones.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.clear()
}

// finish closes the queue after it has taken the last message, if there is one. It returns a
// channel that is closed when all messages have been sent, nil if they have been, and whether the
// queue needs a worker.
func (q *Queue) finish(last *Message) (drained <-chan struct{}, wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if last != nil && q.send != nil {
		wake = q.push(last)
	}
	if q.busy && q.drained == nil {
		q.drained = make(chan struct{})
	}
	return q.drained, wake
}

// Drained closes the queue and returns a channel that is closed when the messages that wait, and
// the one that is being sent, have been sent or dropped; nil if there are none.
func (q *Queue) Drained() <-chan struct{} {
	drained, _ := q.finish(nil)
	return drained
}

// take returns the next message and the function that sends it. Without a message the worker gives
// the queue back.
func (q *Queue) take() (m *Message, send func(*Message) error, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n > 0 {
		return q.pop(), q.send, true
	}
	q.busy = false
	if q.drained != nil {
		close(q.drained)
		q.drained = nil
	}
	return nil, nil, false
}

// push appends m and reports whether the queue needs a worker. The lock is held.
func (q *Queue) push(m *Message) (wake bool) {
	if q.n == 0 {
		q.first = m
	} else {
		q.rest = append(q.rest, m)
	}
	q.n++
	wake, q.busy = !q.busy, true
	return wake
}

// pop removes the first message. The lock is held.
func (q *Queue) pop() *Message {
	m := q.first
	q.first = nil
	if q.n--; q.n > 0 {
		q.first = q.rest[0]
		q.rest = slices.Delete(q.rest, 0, 1) // it is short, and its memory is used again
	}
	if m.Note != nil {
		q.insisted--
	}
	return m
}

// dropOldest removes the first message that is not one of Insist. There is one. The lock is held.
func (q *Queue) dropOldest() {
	if q.first.Note == nil {
		q.pop()
		return
	}
	i := slices.IndexFunc(q.rest, func(m *Message) bool { return m.Note == nil })
	q.rest = slices.Delete(q.rest, i, i+1)
	q.n--
}

// clear drops all messages. The lock is held.
func (q *Queue) clear() { q.first, q.rest, q.n, q.insisted = nil, nil, 0, 0 }

// Batch is a list of queues that need a worker. The zero value is empty.
type Batch struct{ first, last *Queue }

func (b *Batch) add(q *Queue) {
	if b.first == nil {
		b.first = q
	} else {
		b.last.next = q
	}
	b.last = q
}

// append moves all of c to the end of b.
func (b *Batch) append(c Batch) {
	switch {
	case c.first == nil:
		return
	case b.first == nil:
		b.first = c.first
	default:
		b.last.next = c.first
	}
	b.last = c.last
}

// remove removes and returns the first queue, nil if there is none.
func (b *Batch) remove() *Queue {
	q := b.first
	if q == nil {
		return nil
	}
	if b.first = q.next; b.first == nil {
		b.last = nil
	}
	q.next = nil
	return q
}

package bridge

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// message is one for a connection. Its data is shared by all who get it, and never changed.
type message struct {
	data   []byte
	binary bool
}

func (m message) kind() websocket.MessageType {
	if m.binary {
		return websocket.MessageBinary
	}
	return websocket.MessageText
}

// outbox holds what waits to be sent to a connection. It costs nothing but its own size as long as nothing waits, and one message waits without an allocation.
type outbox struct {
	mu      sync.Mutex
	limit   int32
	n       int32 // that wait
	policy  OverflowPolicy
	send    func(m *message) error // nil: the link takes none
	first   *message
	rest    []*message
	empty   chan struct{} // closed when it is not busy any more; nil: nobody waits for that
	nextBox *outbox       // in the notifier's list
	closed  bool
	busy    bool // a worker has it, or it waits for one
}

// offerOutcome says what has become of a message.
type offerOutcome int

const (
	offerRefused  offerOutcome = iota // the connection is closed, or takes no messages
	offerTaken                        // a worker comes by
	offerWakes                        // likewise, and the caller has to see to that
	offerReplaced                     // likewise, and the oldest has been dropped for it
	offerDropped                      // it is full, and this is the newest
	offerSlow                         // it is full, and the connection is to be closed
)

// offer puts m into the box.
func (o *outbox) offer(m *message) offerOutcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.send == nil || o.closed {
		return offerRefused
	}
	if o.n >= o.limit {
		switch o.policy {
		case DropNewest:
			return offerDropped
		case DropOldest:
			o.take()
			o.put(m)
			return offerReplaced
		default:
			o.closed = true
			o.clear()
			return offerSlow
		}
	}
	return o.put(m)
}

// put needs the lock.
func (o *outbox) put(m *message) offerOutcome {
	if o.n == 0 {
		o.first = m
	} else {
		o.rest = append(o.rest, m)
	}
	o.n++
	if o.busy {
		return offerTaken
	}
	o.busy = true
	return offerWakes
}

// take returns the first message. It needs the lock.
func (o *outbox) take() *message {
	m := o.first
	o.first = nil
	if o.n--; o.n > 0 {
		o.first = o.rest[0]
		o.rest = slices.Delete(o.rest, 0, 1) // it is short, and its memory is used again
	}
	return m
}

// clear needs the lock.
func (o *outbox) clear() { o.first, o.rest, o.n = nil, nil, 0 }

// next returns what to send next; false, and the box is nobody's any more, when there is nothing.
func (o *outbox) next() (m *message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n > 0 {
		return o.take(), true
	}
	o.busy = false
	if o.empty != nil {
		close(o.empty)
		o.empty = nil
	}
	return m, false
}

// drop forgets what waits, and takes nothing any more.
func (o *outbox) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.clear()
}

// finish takes one last message, if there is one, and nothing any more after it. It returns a channel that is closed when all has been sent; nil: it has been.
func (o *outbox) finish(last *message) (sent <-chan struct{}, wake bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if last != nil && o.send != nil {
		wake = o.put(last) == offerWakes
	}
	if o.busy && o.empty == nil {
		o.empty = make(chan struct{})
	}
	return o.empty, wake
}

// OnNotify makes the link take the messages of Bridge.Notify: send is called with one at a time, in their order, for at most WriteTimeout of the application's own making. An error, or a panic, ends the link, as one of Heartbeat's function does. limit and
// policy are as in ConnOptions; 0 is 256. A Conn takes them without.
func (l *Link) OnNotify(limit int, policy OverflowPolicy, send func(kind websocket.MessageType, data []byte) error) {
	if limit <= 0 {
		limit = defaultNotifyQueue
	}
	l.box.open(limit, policy, func(m *message) error {
		err := errCallFailed
		defer func() {
			if err != nil {
				l.fail(err)
			}
		}()
		if err = send(m.kind(), m.data); err == nil {
			l.sent.count(len(m.data))
		}
		return err
	})
}

const defaultNotifyQueue = 256

func (o *outbox) open(limit int, policy OverflowPolicy, send func(*message) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limit, o.policy, o.send = int32(min(limit, math.MaxInt32)), policy, send //nolint:gosec // bounded
}

// sayLast sends what waits and the last message, before the close frame. It takes as long as the connection lets it: closeGrace at most.
func (l *Link) sayLast() {
	l.mu.Lock()
	last := l.last
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	var m *message
	if last != nil {
		m = last.wait(ctx)
	}
	sent, wake := l.box.finish(m)
	if wake {
		l.b.notifier.wake(&l.box)
	}
	if sent == nil {
		return
	}
	select {
	case <-sent:
	case <-ctx.Done():
	}
}

// farewell has a last message sent before the close, if the link isn't being closed yet.
func (l *Link) farewell(last *lastWords) {
	if last == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending == nil {
		l.last = last
	}
}

// stuckAfter is how long a worker may be sending before another one is put to work in its place.
const stuckAfter = 5 * time.Millisecond

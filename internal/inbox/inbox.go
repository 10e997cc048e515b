package inbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Message is a message from the client.
type Message struct {
	Type  websocket.MessageType
	Data  []byte
	Quiet bool // it is no activity of the client
}

// Source is the connection that an Inbox belongs to.
type Source interface {
	// Receive reads the next message.
	Receive(ctx context.Context) (Message, error)
	// Interrupt makes a pending Receive, or the next one, return ErrInterrupted, as soon as no
	// message is half read. EndInterrupt takes back one that has had no effect.
	Interrupt()
	EndInterrupt()
	// Cut makes a pending Receive fail.
	Cut()
	// Refuse begins to close the connection: a message came after CloseRead.
	Refuse()
	// Open reports whether the connection is neither closed nor being closed.
	Open() bool
	// Go runs read in a goroutine.
	Go(read func())
}

// ErrInterrupted is returned by Source.Receive after an Interrupt.
var ErrInterrupted = errors.New("bridge: read interrupted by another reader")

// ErrReadClosed is returned by Enter after CloseRead.
var ErrReadClosed = errors.New("bridge: Read after CloseRead")

// The inbox is full when its messages, with the overhead added to each, reach maxBytes.
const (
	maxBytes = 64 << 10
	overhead = 64
)

// Inbox holds the messages that were read while the handler didn't. It must not be copied.
type Inbox struct {
	src     Source
	foreign atomic.Bool
	listed  atomic.Bool // it is on a Watchlist, which then owns next, seen and turn
	next    *Inbox

	mu          sync.Mutex
	readers     int  // reads of the handler that are pending
	turns       uint // how many there have been
	turn        uint // the value of turns at the last review
	seen        bool // there was a review
	watching    bool // the inbox reads
	interrupted bool // and is to stop
	refuses     bool // no message is expected any more
	left        chan struct{}
	waiting     []Message
	size        int   // of waiting
	err         error // by which the inbox's reading has ended
}

// Init connects a zero Inbox to its connection.
func (in *Inbox) Init(src Source) { in.src = src }

// Enter makes the caller the reader of the connection; it has to call Leave after its read. If ok
// is true Enter returns a waiting message instead. Then, and after an error, the caller must not
// read. If ctx ends while the inbox is in the middle of a message the connection is cut.
func (in *Inbox) Enter(ctx context.Context) (m Message, ok bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.watching && !in.refuses && len(in.waiting) == 0 {
		in.interrupted = true
		in.src.Interrupt()
		left := in.whenLeft()
		in.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done(): // in the middle of a message, or it would have left
			in.src.Cut()
			<-left
			err = context.Cause(ctx)
		}
		in.mu.Lock()
		if err != nil {
			return m, false, fmt.Errorf("bridge: read: %w", err)
		}
	}
	switch {
	case in.refuses:
		return m, false, ErrReadClosed
	case len(in.waiting) > 0:
		return in.pop(), true, nil
	case in.err != nil:
		return m, false, in.err
	}
	in.readers++
	in.turns++
	return m, false, nil
}

// Leave ends what an Enter without message or error has begun.
func (in *Inbox) Leave() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.readers--
}

// pop removes the message that has waited for longest. The lock is held.
func (in *Inbox) pop() Message {
	m := in.waiting[0]
	in.waiting[0] = Message{}
	if in.waiting = in.waiting[1:]; len(in.waiting) == 0 {
		in.waiting = nil
	}
	in.size -= len(m.Data) + overhead
	return m
}

// whenLeft returns a channel that is closed when the inbox stops reading. The lock is held.
func (in *Inbox) whenLeft() <-chan struct{} {
	if in.left == nil {
		in.left = make(chan struct{})
	}
	return in.left
}

// Unread reports whether messages wait for the handler.
func (in *Inbox) Unread() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.waiting) > 0
}

// CloseRead declares that no message is expected any more: one that waits, or comes, is refused. It
// reports whether the inbox has already read the connection's end.
func (in *Inbox) CloseRead() (over bool) {
	in.mu.Lock()
	in.refuses = true
	unread := len(in.waiting) > 0
	in.waiting, in.size = nil, 0
	over = in.err != nil
	in.mu.Unlock()
	if unread {
		in.src.Refuse()
	}
	return over
}

// Disown makes the inbox stop reading for good: the application reads past it.
func (in *Inbox) Disown() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.foreign.Store(true)
	if in.watching {
		in.interrupted = true
		in.src.Interrupt()
	}
}

// Foreign reports whether Disown was called.
func (in *Inbox) Foreign() bool { return in.foreign.Load() }

// Await waits until the inbox has stopped reading, for the limit at most.
func (in *Inbox) Await(limit time.Duration) {
	in.mu.Lock()
	var left <-chan struct{}
	if in.watching {
		left = in.whenLeft()
	}
	in.mu.Unlock()
	if left == nil {
		return
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-left:
	case <-late.C:
	}
}

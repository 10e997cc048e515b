package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// inbox says who reads a connection: its handler or, as long as that doesn't, the Bridge. Somebody has to, or pings get no answer and the end of the connection
// stays unknown. What the Bridge has read waits for the handler's next Read.
type inbox struct {
	foreign atomic.Bool // the application may read past the Bridge, which then keeps out of it

	mu       sync.Mutex
	readers  int  // calls of Read that read
	turns    uint // how many there have been
	watching bool // the Bridge reads
	refuses  bool // no message is expected any more: CloseRead
	left     chan struct{}
	waiting  []received
	size     int   // of what waits
	err      error // by which the Bridge's reading has ended
}

// received is a message from the client.
type received struct {
	kind websocket.MessageType
	data []byte
}

// What the Bridge reads for a handler that doesn't: then it is full, and the client has to wait, as it would with nobody reading.
const (
	inboxBytes    = 64 << 10
	inboxOverhead = 64 // what a message counts beside its bytes
)

// unreadGrace is how long the context of a connection whose client has gone lasts while messages
// that came before wait for the handler's next Read.
const unreadGrace = 10 * time.Second

var (
	errReadClosed = errors.New("bridge: Read after CloseRead")
	errGaveWay    = errors.New("bridge: the read has given way to another")
)

// Read returns the next message, which counts as activity of the client. A ctx that ends while it waits closes the connection; the context of the
// handler needs no looking after. A message beyond ConnOptions.MessagesPerSecond closes the connection and isn't returned. After an error there is nothing more to read.
//
// While no Read is pending the Bridge reads, half a second later at most: it answers pings, learns of the connection's end, and keeps messages until they are 64 KiB together, which the
// next calls of Read return. A client that sends more than that has to wait. If the client goes while some wait, the handler's context lasts until a Read has found nothing more, 10 s at most.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	c.link.reading()
	if ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	plain, release := c.plain(ctx)
	defer release()
	m, ok, err := c.enterRead(plain)
	if !ok && err == nil {
		m, err = c.receive(plain)
		c.inbox.leaveRead()
		if err != nil && plain.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(plain), err)
		}
	} else if err != nil && !errors.Is(err, errReadClosed) { // the handler has all that came before the end
		c.link.cancel(errConnClosed)
	}
	if err == nil {
		c.watchSoon()
	}
	return m.kind, m.data, err
}

// enterRead makes the caller the one who reads. It returns a message that waits instead, if there is one.
func (c *Conn) enterRead(ctx context.Context) (m received, ok bool, err error) {
	in := &c.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.watching && !in.refuses && len(in.waiting) == 0 {
		c.net.interrupt()
		left := in.whenLeft()
		in.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done(): // in the middle of a message, or it would have left
			c.cut()
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
		return m, false, errReadClosed
	case len(in.waiting) > 0:
		m = in.waiting[0]
		in.waiting[0] = received{}
		if in.waiting = in.waiting[1:]; len(in.waiting) == 0 {
			in.waiting = nil
		}
		in.size -= len(m.data) + inboxOverhead
		return m, true, nil
	case in.err != nil:
		return m, false, in.err
	}
	in.readers++
	in.turns++
	return m, false, nil
}

func (in *inbox) leaveRead() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.readers--
}

// whenLeft needs the lock.
func (in *inbox) whenLeft() <-chan struct{} {
	if in.left == nil {
		in.left = make(chan struct{})
	}
	return in.left
}

// neglected reports whether nobody reads, although the Bridge could. The lock is held.
func (in *inbox) neglected() bool {
	return in.readers == 0 && !in.watching && in.err == nil && (in.size < inboxBytes || in.refuses) && !in.foreign.Load()
}

// startWatch has the Bridge read from now on, if nobody does.
func (c *Conn) startWatch() (started bool) {
	in := &c.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.neglected() || c.link.ctx.Err() != nil {
		return false
	}
	in.watching = true
	c.link.b.work.Go(c.watch)
	return true
}

// watch reads in place of the handler, until that does, or the connection ends.
func (c *Conn) watch() {
	defer c.leaveWatch(nil)
	for goOn := true; goOn; {
		m, err := c.receive(context.Background())
		if err != nil {
			c.leaveWatch(err)
			return
		}
		goOn = c.keep(m)
	}
}

// keep puts a message aside. It reports whether there is room for another.
func (c *Conn) keep(m received) bool {
	in := &c.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refuses {
		c.refuse()
		return false
	}
	in.waiting = append(in.waiting, m)
	in.size += len(m.data) + inboxOverhead
	return in.size < inboxBytes && !c.net.giveWay.Load() && !in.foreign.Load()
}

// leaveWatch is called at the end of watch, with the error that ended it.
func (c *Conn) leaveWatch(err error) {
	in := &c.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.watching {
		return
	}
	in.watching = false
	c.net.giveWay.Store(false)
	if err != nil && !errors.Is(err, errGaveWay) {
		in.err = err
	}
	if in.left != nil {
		close(in.left)
		in.left = nil
	}
}

// awaitWatch waits for the end of the Bridge's reading on a connection that can't be written to any more: it may know how the connection has ended.
func (c *Conn) awaitWatch() {
	in := &c.inbox
	if !c.gone.Load() || c.link.isEnding() {
		return
	}
	in.mu.Lock()
	var left <-chan struct{}
	if in.watching {
		left = in.whenLeft()
	}
	in.mu.Unlock()
	if left == nil {
		return
	}
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	select {
	case <-left:
	case <-late.C:
	}
}

// receive reads a message, whoever it is for.
func (c *Conn) receive(ctx context.Context) (m received, err error) {
	m.kind, m.data, err = c.readMessage(ctx)
	switch {
	case c.net.gave.Swap(false) && err == nil:
		return received{}, errGaveWay
	case err != nil && c.net.tripped.Load():
		return received{}, errTooManyFrames
	case err != nil:
		return m, c.readFailed(err)
	}
	c.link.received.count(len(m.data))
	if c.pace != nil && !c.pace.Allow() {
		c.closeTooFast("too many messages")
		return received{}, errTooFast
	}
	c.link.Active()
	return m, nil
}

// readFailed ends the context of a connection of which nothing more comes. If messages that came
// before wait for the handler, it is given the time to read them.
func (c *Conn) readFailed(err error) error {
	c.lost.CompareAndSwap(codeNone, int64(lostCode(err)))
	if cause := context.Cause(c.link.ctx); cause != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if c.inbox.unread() {
		c.link.b.clock.Add(time.Now().Add(unreadGrace), func() { c.link.cancel(errConnClosed) })
	} else {
		c.link.cancel(errConnClosed)
	}
	return err
}

// unread reports whether messages wait for the handler's next Read.
func (in *inbox) unread() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.waiting) > 0
}

// CloseRead is for a handler that only writes: it says that no message is expected. One that comes all the same closes the connection with CodePolicy, as does one that has come before and waits for a Read;
// Read returns an error. It returns the handler's context, which ends when the connection does.
func (c *Conn) CloseRead() context.Context {
	in := &c.inbox
	in.mu.Lock()
	in.refuses = true
	if len(in.waiting) > 0 {
		in.waiting, in.size = nil, 0
		c.refuse()
	}
	over := in.err != nil
	in.mu.Unlock()
	if over {
		c.link.cancel(errConnClosed)
	}
	c.startWatch()
	return c.link.ctx
}

func (c *Conn) refuse() { c.link.end(CodePolicy, "unexpected data message") }

// Underlying returns the connection below. Whoever reads or writes through it goes past activity and limits. From then on the Bridge doesn't read by itself while no Read is pending,
// so that it takes nothing away: the application has to read.
func (c *Conn) Underlying() *websocket.Conn {
	in := &c.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	in.foreign.Store(true)
	if in.watching {
		c.net.interrupt()
	}
	return c.ws
}

package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/inbox"
	"github.com/sessionbridge/sessionbridge/internal/wire"
)

// unreadGrace is how long the context of a connection whose client has gone lasts while messages
// that came before wait for the handler's next Read.
const unreadGrace = 10 * time.Second

// Read returns the next message, which counts as activity of the client. If ctx ends while Read
// waits, the connection is closed; a ctx that is the handler's own context may be passed as it
// is. A message beyond ConnOptions.MessagesPerSecond closes the connection and isn't returned.
// After an error no further message can be read.
//
// While no Read is pending the Bridge reads, half a second later at most: it answers pings,
// notices the connection's end, and keeps up to 64 KiB of messages, which the next calls of Read
// return. A client that sends more than that has to wait. If the client goes while messages
// wait, the handler's context lasts until a Read has found no more, 10 s at most.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	c.link.reading()
	if ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	plain, release := c.plain(ctx)
	defer release()
	m, ok, err := c.inbox.Enter(plain)
	if !ok && err == nil {
		m, err = c.receive(plain)
		c.inbox.Leave()
		if err != nil && plain.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(plain), err)
		}
	} else if err != nil && !errors.Is(err, inbox.ErrReadClosed) { // the handler has all that came before the end
		c.link.cancel(errConnClosed)
	}
	if err == nil {
		c.link.b.watches.Add(&c.inbox)
	}
	return m.Type, m.Data, err
}

// receive reads a message, for the handler or for the inbox.
func (c *Conn) receive(ctx context.Context) (m inbox.Message, err error) {
	m.Type, m.Data, err = c.readMessage(ctx)
	switch {
	case c.net.Interrupted() && err == nil:
		return inbox.Message{}, inbox.ErrInterrupted
	case err != nil && c.net.Tripped():
		return inbox.Message{}, wire.ErrTooManyFrames
	case err != nil:
		return m, c.readFailed(err)
	}
	c.link.received.count(len(m.Data))
	if c.pace != nil && !c.pace.Allow() {
		c.closeTooFast("too many messages")
		return inbox.Message{}, errTooFast
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
	if c.inbox.Unread() {
		c.link.b.clock.Add(time.Now().Add(unreadGrace), func() { c.link.cancel(errConnClosed) })
	} else {
		c.link.cancel(errConnClosed)
	}
	return err
}

// CloseRead is for a handler that only writes: it says that no message is expected. Afterwards a
// message, also one that has come before and waits for a Read, closes the connection with
// CodePolicy, and Read returns an error. CloseRead returns the handler's context, which ends
// when the connection does.
func (c *Conn) CloseRead() context.Context {
	if over := c.inbox.CloseRead(); over {
		c.link.cancel(errConnClosed)
	}
	c.inbox.Watch()
	return c.link.ctx
}

// Underlying returns the connection below. Reads and writes through it bypass activity and
// limits. From then on the Bridge doesn't read while no Read is pending, and takes no message
// from the application: the application has to read.
func (c *Conn) Underlying() *websocket.Conn {
	c.inbox.Disown()
	return c.ws
}

// awaitInbox waits for the end of the inbox's reading on a connection that can't be written to any
// more: it may learn how the connection has ended.
func (c *Conn) awaitInbox() {
	if c.gone.Load() && !c.link.isEnding() {
		c.inbox.Await(closeGrace)
	}
}

// inboxSource is a Conn as its inbox uses it.
type inboxSource Conn

// Receive implements inbox.Source, as do the others.
func (s *inboxSource) Receive(ctx context.Context) (inbox.Message, error) {
	return (*Conn)(s).receive(ctx)
}
func (s *inboxSource) Interrupt()    { s.net.Interrupt() }
func (s *inboxSource) EndInterrupt() { s.net.EndInterrupt() }
func (s *inboxSource) Cut()          { s.net.Cut() }
func (s *inboxSource) Refuse()       { s.link.end(CodePolicy, "unexpected data message") }

func (s *inboxSource) Open() bool { return s.link.ctx.Err() == nil }

func (s *inboxSource) Go(read func()) { s.link.b.work.Go(read) }

// wireOwner is a Conn as the network connection below it uses it.
type wireOwner Conn

// TooManyFrames implements wire.Owner.
func (o *wireOwner) TooManyFrames() { (*Conn)(o).closeTooFast("too many control frames or fragments") }

// Closed implements wire.Owner. An application that reads past the Bridge (Conn.Underlying) doesn't
// report the end of the connection: the next beat does.
func (o *wireOwner) Closed() {
	if o.inbox.Foreign() && o.link.ctx != nil && o.link.ctx.Err() == nil {
		o.link.b.planBeat(&o.pulse, o.link.b.clock.Now())
	}
}

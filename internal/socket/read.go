package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/heartbeat"
	"github.com/sessionbridge/sessionbridge/internal/inbox"
	"github.com/sessionbridge/sessionbridge/internal/wire"
)

// unreadGrace is how long the context of a connection lasts after its client has gone, while
// earlier messages wait for the handler's next Read.
const unreadGrace = 10 * time.Second

// ErrTooManyMessages is returned for the first message that exceeds Config.MessagesPerSecond.
var ErrTooManyMessages = errors.New("bridge: the client sends more messages " +
	"than ConnOptions.MessagesPerSecond allows")

// Read returns the next message. If ctx ends while it waits, the connection is cut, unless ctx is
// the connection's own.
func (c *Conn) Read(ctx context.Context) (inbox.Message, error) {
	if ctx.Err() != nil {
		return inbox.Message{}, context.Cause(ctx)
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
	} else if err != nil && !errors.Is(err, inbox.ErrReadClosed) { // the handler has read all messages before the end
		c.owner.Lost(ErrClosed)
	}
	if err == nil {
		c.rt.watches.Add(&c.inbox)
	}
	return m, err
}

// Watch has the connection read from now on, unless it is read already. It reports whether it has
// begun.
func (c *Conn) Watch() (started bool) { return c.inbox.Watch() }

// CloseRead refuses further messages: the next one closes the connection.
func (c *Conn) CloseRead() {
	if over := c.inbox.CloseRead(); over {
		c.owner.Lost(ErrClosed)
	}
	c.inbox.Watch()
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
	c.heard.Store(true)
	if err := c.owner.Received(len(m.Data)); err != nil {
		return inbox.Message{}, err
	}
	if !c.pacing.Allow() {
		c.owner.Refuse(TooManyMessages)
		return inbox.Message{}, ErrTooManyMessages
	}
	if err := c.owner.Active(&m); err != nil {
		return inbox.Message{}, err
	}
	return m, nil
}

const keepBuffer = 64 << 10 // larger ones are not kept

// readMessage does what c.ws.Read does, which allocates 512 bytes for the shortest message.
func (c *Conn) readMessage(ctx context.Context) (websocket.MessageType, []byte, error) {
	kind, r, err := c.ws.Reader(ctx)
	if err != nil {
		return 0, nil, err
	}
	buf, _ := c.rt.buffers.Get().(*bytes.Buffer)
	if buf == nil {
		buf = new(bytes.Buffer)
	}
	buf.Reset()
	for err == nil {
		buf.Grow(bytes.MinRead)
		var n int
		n, err = r.Read(buf.AvailableBuffer()[:buf.Available()])
		buf.Write(buf.AvailableBuffer()[:n])
	}
	if err == io.EOF { //nolint:errorlint // as io.Reader has it
		err = nil
	}
	data := append([]byte{}, buf.Bytes()...)
	if buf.Cap() <= keepBuffer {
		c.rt.buffers.Put(buf)
	}
	return kind, data, err
}

// readFailed ends the context of a connection from which nothing more can be read. If earlier
// messages wait for the handler, the context lasts for unreadGrace.
func (c *Conn) readFailed(err error) error {
	code := websocket.CloseStatus(err) // -1: without a close frame
	if errors.Is(err, websocket.ErrMessageTooBig) {
		code = websocket.StatusMessageTooBig
		c.owner.TooLarge()
	}
	c.lost.CompareAndSwap(0, int32(code))
	if cause := context.Cause(c.owner.Context()); cause != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if c.inbox.Unread() {
		c.rt.clock.Add(time.Now().Add(unreadGrace), func() { c.owner.Lost(ErrClosed) })
	} else {
		c.owner.Lost(ErrClosed)
	}
	return err
}

// source is a Conn as its inbox uses it.
type source Conn

// Receive implements inbox.Source, as do the others.
func (s *source) Receive(ctx context.Context) (inbox.Message, error) { return (*Conn)(s).receive(ctx) }
func (s *source) Interrupt()                                         { s.net.Interrupt() }
func (s *source) EndInterrupt()                                      { s.net.EndInterrupt() }
func (s *source) Cut()                                               { s.net.Cut() }
func (s *source) Refuse()                                            { s.owner.Refuse(Unexpected) }
func (s *source) Open() bool                                         { return s.owner.Context().Err() == nil }
func (s *source) Go(read func())                                     { s.rt.group.Go(read) }

// wireOwner is a Conn as the network connection below it uses it.
type wireOwner Conn

// TooManyFrames implements wire.Owner.
func (o *wireOwner) TooManyFrames() { o.owner.Refuse(TooManyFrames) }

// Closed implements wire.Owner. An application that reads past the Conn (Disown) doesn't report the
// end of the connection: the next beat does.
func (o *wireOwner) Closed() {
	if o.inbox.Foreign() && o.owner.Context().Err() == nil {
		heartbeat.Plan(o.rt.clock, &o.pulse, o.rt.clock.Now())
	}
}

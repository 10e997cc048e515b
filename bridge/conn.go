package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/inbox"
	"github.com/sessionbridge/sessionbridge/internal/kept"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// Conn is one WebSocket connection, tied to its client's session. Its methods may be called
// concurrently, except that only one Read may be pending at a time. Its context ends when the
// connection does, whether or not the handler reads: see Read.
type Conn struct {
	link   *Link
	opts   *ConnOptions // shared by the handler's connections
	socket socket.Conn
}

// ID returns the connection's own ID: see ConnOptions.ID.
func (c *Conn) ID() string { return c.link.ID() }

// Name returns the name of ConnOptions.Name, "" for none.
func (c *Conn) Name() string { return c.link.Name() }

// ClientID returns the client, which is fixed for the connection's life.
func (c *Conn) ClientID() string { return c.link.ClientID() }

// SessionID returns the session's ID, "" while there is none.
func (c *Conn) SessionID() string { return c.link.SessionID() }

// MissingReason returns why the connection has no session: see Link.MissingReason.
func (c *Conn) MissingReason() MissingReason { return c.link.MissingReason() }

// Subprotocol returns the negotiated subprotocol, "" for none.
func (c *Conn) Subprotocol() string { return c.socket.Subprotocol() }

// ConnectedAt returns when the connection was opened.
func (c *Conn) ConnectedAt() time.Time { return c.link.ConnectedAt() }

// SetData gives the connection a value of the application's, which Data and ConnInfo.Data return.
// It lives as long as the connection, and is not stored.
func (c *Conn) SetData(v any) { c.link.SetData(v) }

// Data returns the value of the last SetData, or nil.
func (c *Conn) Data() any { return c.link.Data() }

// WithSession runs fn on the session: see Link.WithSession.
func (c *Conn) WithSession(
	ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error,
) error {
	return c.link.WithSession(ctx, fn, onMissing)
}

// Read returns the next message, which counts as activity of the client unless
// ConnOptions.CountsAsActivity says otherwise. If ctx, which may be the
// handler's, ends during the wait, the connection is closed. A message beyond
// ConnOptions.MessagesPerSecond closes it and isn't returned. After an error all reads fail.
//
// While no Read is pending the Bridge reads, after half a second at most: it answers pings, notices
// the connection's end, and buffers up to 64 KiB of messages for the next calls of Read. When the
// buffer is full the client is blocked. If the client disconnects while messages are buffered, the
// handler's context lasts until a Read has found no more, 10 s at most.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	m, err := c.read(ctx)
	return m.Type, m.Data, err
}

func (c *Conn) read(ctx context.Context) (inbox.Message, error) {
	c.link.endPending(true)
	return c.socket.Read(ctx)
}

// ReadJSON is Read into v. Invalid JSON is an error that leaves the connection usable.
func (c *Conn) ReadJSON(ctx context.Context, v any) error {
	_, data, err := c.Read(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("bridge: read JSON: %w", err)
	}
	return nil
}

// CloseRead is for a handler that only writes. From then on a message, also a buffered one, closes
// the connection with CodePolicy, and Read returns an error. CloseRead returns the handler's
// context, which ends when the connection does.
func (c *Conn) CloseRead() context.Context {
	c.socket.CloseRead()
	return c.link.ctx
}

// Write sends a message. If it exceeds ConnOptions.WriteTimeout, or ctx ends in the middle, the
// connection is cut. After an error that makes it unusable the handler's context has ended.
func (c *Conn) Write(ctx context.Context, kind websocket.MessageType, data []byte) error {
	if c.link.keeps.Load() {
		data = kept.Escape(data)
	}
	return c.write(ctx, kind, data)
}

// write is Write of a message that a client which keeps its place takes for what it is.
func (c *Conn) write(ctx context.Context, kind websocket.MessageType, data []byte) error {
	c.link.sent.Count(len(data)) // first: a message that has arrived is counted
	err := c.socket.Write(ctx, kind, data)
	if err != nil {
		c.link.sent.Uncount(len(data))
	}
	return err
}

// WriteJSON sends v as a text message.
func (c *Conn) WriteJSON(ctx context.Context, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("bridge: write JSON: %w", err)
	}
	return c.Write(ctx, websocket.MessageText, data)
}

// send writes a message of a queue.
func (c *Conn) send(ctx context.Context, m *outbox.Message) error {
	n, is := m.Note.(keptNote)
	if !is {
		return c.Write(ctx, messageType(m), m.Data)
	}
	k := n.kept()
	err := c.write(ctx, k.Type, k.Frame())
	if err == nil {
		c.link.keptSent(m)
	}
	return err
}

func messageType(m *outbox.Message) websocket.MessageType {
	if m.Binary {
		return websocket.MessageBinary
	}
	return websocket.MessageText
}

// Ping sends a ping and waits for its pong, which is no activity of the client. If no Read is
// pending the Bridge reads meanwhile; a pong behind a full buffer (see Read) waits for the handler.
func (c *Conn) Ping(ctx context.Context) error { return c.socket.Ping(ctx) }

// Close closes the connection with a code and a reason of at most 123 bytes, within a second. If
// another close has begun, its code stays.
func (c *Conn) Close(code int, reason string) error {
	if err := errorcodes.CheckClose(code, reason); err != nil {
		return err
	}
	if c.link.beginEnd(code, reason) {
		c.link.close(code, reason)
	}
	return nil
}

// Underlying returns the connection below. Reads and writes through it bypass activity and limits.
// From then on the Bridge reads only while a Read is pending, so the application has to read.
func (c *Conn) Underlying() *websocket.Conn { return c.socket.Disown() }

// Format implements fmt.Formatter. It prints only the client, as a keyed hash.
func (c *Conn) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "bridge.Conn(client %s)", c.ofLink().client())
}

// LogValue implements slog.LogValuer.
func (c *Conn) LogValue() slog.Value { return c.ofLink().LogValue() }

func (c *Conn) ofLink() *Link {
	if c == nil {
		return nil
	}
	return c.link
}

// socketOwner is the Link of a Conn, as its socket uses it.
type socketOwner Link

// Context and the following methods implement socket.Owner.
func (o *socketOwner) Context() context.Context { return o.ctx }
func (o *socketOwner) Lost(cause error)         { o.closing.Cancel(cause) }
func (o *socketOwner) Closing() bool            { return o.closing.Begun() }
func (o *socketOwner) Times() (opened, active time.Duration) {
	return o.entry.OpenedAt, (*Link)(o).activeSince()
}

// Received counts the message, also towards the limits of the session and of the address.
func (o *socketOwner) Received(bytes int) error {
	o.received.Count(bytes)
	return (*Link)(o).admitMessage()
}

// TooLarge reports a message beyond ConnOptions.MaxMessageBytes.
func (o *socketOwner) TooLarge() {
	l := (*Link)(o)
	l.b.stats.tooLarge.Add(1)
	l.reportLimit("ConnOptions.MaxMessageBytes", l.conn.opts.MaxMessageBytes)
}

// Active records the message as activity, unless ConnOptions.CountsAsActivity says otherwise. A
// panic of that function closes the connection, as one of the handler does.
func (o *socketOwner) Active(m *inbox.Message) error {
	l := (*Link)(o)
	if l.conn.opts.CountsAsActivity != nil {
		if err := l.conn.judge(m); err != nil {
			return err
		}
	}
	if !m.Quiet {
		l.Active()
	}
	return nil
}

// judge sets m.Quiet. ErrPanicked: the connection is being closed.
func (c *Conn) judge(m *inbox.Message) (err error) {
	l, returned := c.link, false
	defer func() {
		if !returned {
			l.b.report.Panicked(l.ctx, "CountsAsActivity panicked", "tell whether a message is activity: the function panicked",
				l.SessionID(), recover())
			l.end(CodeFailed, "")
			err = ErrPanicked
		}
	}()
	m.Quiet = !c.opts.CountsAsActivity(Message{Type: m.Type, Data: m.Data})
	returned = true
	return nil
}

// Refuse closes the connection with a reason, also if the client sends too fast: without one the
// client would assume that its messages have been handled.
func (o *socketOwner) Refuse(why socket.Reason) {
	l, code := (*Link)(o), CodePolicy
	switch why {
	case socket.Idle, socket.TooOld:
		code = CodeIdle
	case socket.TooManyMessages:
		l.b.stats.tooFast.Add(1)
		l.reportLimit("ConnOptions.MessagesPerSecond", l.conn.opts.MessagesPerSecond)
	case socket.TooManyFrames:
		l.b.stats.tooFast.Add(1)
		l.reportLimit("ConnOptions.FramesPerSecond", l.conn.opts.FramesPerSecond)
	case socket.Silent:
		l.b.stats.tooSlow.Add(1)
		l.reportLimit("ConnOptions.FirstMessageTimeout", l.conn.opts.FirstMessageTimeout)
	}
	l.end(code, string(why))
}

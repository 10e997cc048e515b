package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/inbox"
	"github.com/sessionbridge/sessionbridge/internal/wire"
)

// Conn is one WebSocket connection, tied to its client's session. Its methods may be called concurrently, except that only one Read may be
// pending at a time. Its context ends when the connection does, whether or not the handler reads: see Read.
type Conn struct {
	link  *Link
	ws    *websocket.Conn
	net   *wire.Conn   // below ws
	opts  *ConnOptions // shared by all of the handler
	clock *clock.Clock

	lost   atomic.Int64 // the close code by which reading ended, codeNone as long as it hasn't
	gone   atomic.Bool  // a write has failed: nobody is there any more
	writes writeLimit

	inbox   inbox.Inbox
	pulse   clock.Deadline
	pinging atomic.Bool

	pace *rate.Limiter // of the messages from the client; nil: no limit
}

func newConn(ws *websocket.Conn, below *wire.Conn, clock *clock.Clock, opts *ConnOptions) *Conn {
	ws.SetReadLimit(opts.MaxMessageBytes)
	c := &Conn{ws: ws, net: below, clock: clock, opts: opts, pace: opts.pace()}
	c.inbox.Init((*inboxSource)(c))
	below.Start((*wireOwner)(c))
	return c
}

// ID returns the connection's own ID.
func (c *Conn) ID() string { return c.link.entry.ID }

// ClientID returns the client, which is fixed for the connection's life.
func (c *Conn) ClientID() string { return c.link.entry.ClientID }

// SessionID returns the session's ID, "" while there is none.
func (c *Conn) SessionID() string { return c.link.SessionID() }

// Subprotocol returns the one that was agreed upon, "" for none.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// ConnectedAt returns when the connection was opened.
func (c *Conn) ConnectedAt() time.Time { return c.link.ConnectedAt() }

// SetData gives the connection a value of the application's, which Data and ConnInfo.Data return. It lives as long as the connection, and is not stored.
func (c *Conn) SetData(v any) { c.link.SetData(v) }

// Data returns what SetData was given last, or nil.
func (c *Conn) Data() any { return c.link.Data() }

// WithSession runs fn on the session: see Link.WithSession.
func (c *Conn) WithSession(ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error) error {
	return c.link.WithSession(ctx, fn, onMissing)
}

const keepReadBuffer = 64 << 10 // a larger one is left to the collector

// readMessage does what c.ws.Read does, which allocates 512 bytes for the shortest message.
func (c *Conn) readMessage(ctx context.Context) (websocket.MessageType, []byte, error) {
	kind, r, err := c.ws.Reader(ctx)
	if err != nil {
		return 0, nil, err
	}
	buf, _ := c.link.b.reads.Get().(*bytes.Buffer)
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
	if buf.Cap() <= keepReadBuffer {
		c.link.b.reads.Put(buf)
	}
	return kind, data, err
}

// lostCode is how the connection ended, by the error of a read.
func lostCode(err error) int {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return int(websocket.StatusMessageTooBig)
	}
	return int(websocket.CloseStatus(err)) // -1: without a close frame
}

// Write sends a message. One that takes longer than ConnOptions.WriteTimeout cuts the connection, and so does ctx when it ends in the middle of the message. After an error that
// leaves the connection unusable the handler's context has ended.
func (c *Conn) Write(ctx context.Context, kind websocket.MessageType, data []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	written := false
	if c.opts.WriteTimeout > 0 {
		c.writes.begin(c)
		defer func() { c.writes.end(c, written) }()
	}
	plain, release := c.plain(ctx)
	defer release()
	err := c.ws.Write(plain, kind, data)
	written = err == nil
	if written {
		c.link.sent.count(len(data))
	} else {
		c.writeFailed(ctx, err)
	}
	return err
}

// writeFailed ends the context of a connection on which a write has failed for another reason than that ctx has ended before it began.
func (c *Conn) writeFailed(ctx context.Context, err error) {
	if ctx.Err() == nil || c.net.Over() {
		c.lose(err)
	}
}

// lose ends the context of a connection on which nothing can be sent any more. A close that is under way ends it by itself.
func (c *Conn) lose(err error) {
	c.gone.Store(true)
	if c.link.isEnding() {
		return
	}
	c.link.cancel(fmt.Errorf("%w: %w", errConnClosed, err))
	c.cut()
}

// ReadJSON reads a message and decodes it into v. A message that isn't JSON is an error that leaves the connection usable.
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

// WriteJSON sends v as a text message.
func (c *Conn) WriteJSON(ctx context.Context, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("bridge: write JSON: %w", err)
	}
	return c.Write(ctx, websocket.MessageText, data)
}

// Ping sends a ping and waits for its pong. It is no activity of the client. If no Read is pending the Bridge reads meanwhile; a pong behind more messages than Read says is
// not seen before the handler has read some.
func (c *Conn) Ping(ctx context.Context) error {
	c.inbox.Watch()
	plain, release := c.plain(ctx)
	defer release()
	return c.sendPing(plain)
}

// sendPing is Ping, and ends the context of a connection on which the ping could not be sent.
func (c *Conn) sendPing(ctx context.Context) error {
	c.net.Expect()
	err := c.ws.Ping(ctx)
	switch {
	case err == nil:
	case c.net.Over(), !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		c.lose(err)
	}
	return err
}

// Close closes the connection with a code and a reason of at most 123 bytes, a second at most. A connection that is being closed already keeps its code.
func (c *Conn) Close(code int, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	if c.link.beginEnd(code, reason) {
		c.link.close(code, reason)
	}
	return nil
}

// plain returns a context for the library below, which cuts the connection when it ends. The end of the connection's own context must
// not: the close frame that says why is on its way. Nor need it be watched, as closing ends every read and write.
func (c *Conn) plain(ctx context.Context) (plain context.Context, release func()) {
	if ctx == c.link.ctx { // as usual; asking for its Done would make a channel
		return context.Background(), func() {}
	}
	if done := ctx.Done(); done == nil || done == c.link.ctx.Done() {
		return context.Background(), func() {}
	}
	plain, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if c.link.ctx.Err() == nil {
			cancel(context.Cause(ctx))
		}
	})
	return plain, func() {
		stop()
		cancel(nil)
	}
}

// shut sends a close frame, waits for the peer's for a second, and cuts the connection. It may be called before the connection has
// its link.
func (c *Conn) shut(code int, reason string) {
	cut := c.clock.Add(time.Now().Add(closeGrace), c.cut)
	defer c.clock.Remove(cut)
	_ = c.ws.Close(websocket.StatusCode(code), reason)
}

// cut makes every pending read and write fail. It doesn't wait for anything.
func (c *Conn) cut() { c.net.Cut() }

// writeLimit bounds writes without a timer for each: at most one deadline per connection waits, and looks whether there is a write
// that is taking too long.
type writeLimit struct {
	mu       sync.Mutex
	pending  int
	until    time.Time
	watching *clock.Deadline
	planned  bool
	released bool
}

func (w *writeLimit) begin(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending++; w.pending > 1 {
		return
	}
	w.until = time.Now().Add(c.opts.WriteTimeout)
	if !w.planned {
		w.plan(c)
	}
}

// end is told whether the message has been written: one that has been given up while it waited for another says nothing of that.
func (w *writeLimit) end(c *Conn, written bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending--; w.pending > 0 && written { // there is progress
		w.until = time.Now().Add(c.opts.WriteTimeout)
	}
}

// plan needs the lock.
func (w *writeLimit) plan(c *Conn) {
	if w.released {
		return
	}
	w.planned = true
	if w.watching == nil {
		w.watching = c.clock.Add(w.until, func() { w.look(c) })
		return
	}
	c.clock.Move(w.watching, w.until)
}

func (w *writeLimit) look(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.pending == 0:
		w.planned = false
	case time.Now().Before(w.until):
		w.plan(c)
	default:
		c.cut()
	}
}

// release forgets the deadline of a connection that is closed, or about to be: what is still written, a last message say, ends with the close.
func (w *writeLimit) release(clock *clock.Clock) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	clock.Remove(w.watching)
}

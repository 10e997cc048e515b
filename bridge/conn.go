package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

// Conn is one WebSocket connection, tied to its client's session. Its methods may be called concurrently, except that only one Read may be
// pending at a time. Somebody should always be reading: that is how the end of the connection and pongs are noticed.
type Conn struct {
	link  *Link
	ws    *websocket.Conn
	net   net.Conn     // below ws; nil when it is out of reach
	opts  *ConnOptions // shared by all of the handler
	clock *deadlines

	lost   atomic.Int64 // the close code by which reading ended, codeNone as long as it hasn't
	gone   atomic.Bool  // a write has failed: nobody is there any more
	writes writeLimit

	pulse   pulse
	heard   atomic.Int64  // when something last came from the peer, pongs included; see heardAt
	inRead  atomic.Bool   // somebody reads
	reads   atomic.Uint64 // how often somebody has begun to
	pinging atomic.Bool

	pace *rate.Limiter // of the messages from the client; nil: no limit
}

func newConn(ws *websocket.Conn, below net.Conn, clock *deadlines, opts *ConnOptions) *Conn {
	ws.SetReadLimit(opts.MaxMessageBytes)
	return &Conn{ws: ws, net: below, clock: clock, opts: opts, pace: opts.pace()}
}

// ID returns the connection's own ID.
func (c *Conn) ID() string { return c.link.id }

// ClientID returns the client, which is fixed for the connection's life.
func (c *Conn) ClientID() string { return c.link.clientID }

// SessionID returns the session's ID, "" while there is none.
func (c *Conn) SessionID() string { return c.link.SessionID() }

// ConnectedAt returns when the connection was opened.
func (c *Conn) ConnectedAt() time.Time { return c.link.ConnectedAt() }

// SetData gives the connection a value of the application's, which Data and ConnInfo.Data return. It lives as long as the connection, and is not stored.
func (c *Conn) SetData(v any) { c.link.SetData(v) }

// Data returns what SetData was given last, or nil.
func (c *Conn) Data() any { return c.link.Data() }

// Underlying returns the connection below. Whoever reads or writes through it goes past activity and limits.
func (c *Conn) Underlying() *websocket.Conn { return c.ws }

// WithSession runs fn on the session: see Link.WithSession.
func (c *Conn) WithSession(ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error) error {
	return c.link.WithSession(ctx, fn, onMissing)
}

// Read returns the next message, which counts as activity of the client. A ctx that ends while it waits closes the connection; the context of the
// handler needs no looking after. A message beyond ConnOptions.MessagesPerSecond closes the connection and isn't returned. After an error there is nothing more to read.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	c.link.reading()
	if ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	plain, release := c.plain(ctx)
	defer release()
	c.reads.Add(1)
	c.inRead.Store(true)
	kind, data, err := c.readMessage(plain)
	c.inRead.Store(false)
	if err != nil {
		c.lost.CompareAndSwap(codeNone, int64(lostCode(err)))
		if cause := context.Cause(c.link.ctx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		c.link.cancel(errConnClosed)
		return kind, data, err
	}
	now := time.Now()
	c.heard.Store(int64(now.Sub(c.link.b.wheel.epoch)))
	c.link.received.count(len(data))
	if c.pace != nil && !c.pace.Allow() {
		return 0, nil, c.tooFast()
	}
	c.link.activeNow(now)
	return kind, data, nil
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
		if n > 0 {
			c.heard.Store(int64(c.link.b.wheel.now())) // a part of a long message is a sign of life
		}
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

// Write sends a message. One that takes longer than ConnOptions.WriteTimeout cuts the connection, and so does ctx when it ends meanwhile.
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
	switch {
	case written:
		c.link.sent.count(len(data))
	case ctx.Err() == nil:
		c.gone.Store(true)
	}
	return err
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

// Ping sends a ping and waits for its pong, which arrives only while somebody reads. It is no activity of the client.
func (c *Conn) Ping(ctx context.Context) error {
	plain, release := c.plain(ctx)
	defer release()
	return c.ws.Ping(plain)
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
	cut := c.clock.add(time.Now().Add(closeGrace), c.cut)
	defer c.clock.remove(cut)
	_ = c.ws.Close(websocket.StatusCode(code), reason)
}

// cut makes every pending read and write fail. It doesn't wait for anything.
func (c *Conn) cut() {
	if c.net != nil {
		_ = c.net.SetDeadline(time.Unix(1, 0))
	}
}

// writeLimit bounds writes without a timer for each: at most one deadline per connection waits, and looks whether there is a write
// that is taking too long.
type writeLimit struct {
	mu       sync.Mutex
	pending  int
	until    time.Time
	watching *deadline
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
		w.watching = c.clock.add(w.until, func() { w.look(c) })
		return
	}
	c.clock.move(w.watching, w.until)
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
func (w *writeLimit) release(clock *deadlines) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	clock.remove(w.watching)
}

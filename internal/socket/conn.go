package socket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/inbox"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
	"github.com/sessionbridge/sessionbridge/internal/wire"
)

// ErrClosed is the cause of the context of a connection that was closed or lost.
var ErrClosed = errors.New("bridge: connection closed")

// CloseGrace is how long a close may take before the connection is cut.
const CloseGrace = time.Second

// Conn is a WebSocket connection. It must not be copied.
type Conn struct {
	*Acceptor
	owner Owner
	ws    *websocket.Conn
	net   *wire.Conn // below ws

	pacing *allowance.Pace
	inbox  inbox.Inbox
	writes writeLimit
	pulse  clock.Deadline

	heard   atomic.Bool  // a message has come
	lost    atomic.Int32 // the close code by which reading has ended; 0: it hasn't
	failed  atomic.Bool  // a write has failed: the client is gone
	pinging atomic.Bool  // checkAlive runs
}

// Accept upgrades the request, for a zero Conn. If that fails nothing has been sent, and status is
// the status for the answer.
func (c *Conn) Accept(a *Acceptor, owner Owner, w http.ResponseWriter, r *http.Request) (status int, err error) {
	below, upgrade := wire.New(&a.wire), &responsewriter.Upgrade{ResponseWriter: w}
	ws, err := websocket.Accept(below.Wrap(upgrade), r, &websocket.AcceptOptions{
		Subprotocols:       a.Subprotocols,
		InsecureSkipVerify: true, // the caller has checked the origin
		CompressionMode:    a.Compression,
	})
	if err != nil {
		return cmp.Or(upgrade.Withheld(), http.StatusBadRequest), err
	}
	ws.SetReadLimit(a.MaxMessageBytes)
	c.Acceptor, c.owner, c.ws, c.net = a, owner, ws, below
	c.pacing = allowance.NewPace(a.MessagesPerSecond, a.MessageBurst)
	c.inbox.Init((*source)(c))
	below.Start((*wireOwner)(c))
	return 0, nil
}

// Subprotocol returns the subprotocol that was agreed upon, "" for none.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// Disown returns the connection of the library. The Conn stops reading for good, and neither counts
// nor limits what is read or written there.
func (c *Conn) Disown() *websocket.Conn {
	c.inbox.Disown()
	return c.ws
}

// Close sends a close frame, waits for the client's, for CloseGrace in all, and cuts the
// connection. A connection that the client has ended without a close frame is only cut.
func (c *Conn) Close(code int, reason string) {
	if c.lost.Load() == int32(-1) && c.net.Over() {
		_ = c.ws.CloseNow()
		return
	}
	cut := c.rt.clock.Add(time.Now().Add(CloseGrace), c.Cut)
	defer c.rt.clock.Remove(cut)
	_ = c.ws.Close(websocket.StatusCode(code), reason)
}

// Cut makes every pending read and write fail. It doesn't wait for them.
func (c *Conn) Cut() { c.net.Cut() }

// Release forgets the deadlines of a connection that is closed, or about to be.
func (c *Conn) Release() {
	c.rt.clock.Remove(&c.pulse)
	c.writes.release(c)
}

// LostCode returns the close code of a connection that has ended by itself: the client's, -1 if it
// has sent none. ok is false for one that is open, or that the Owner closes.
func (c *Conn) LostCode() (code int, ok bool) {
	failed := c.failed.Load()
	if failed && !c.owner.Closing() {
		c.inbox.Await(CloseGrace) // its read may have the close code
	}
	if lost := c.lost.Load(); lost != 0 {
		return int(lost), true
	}
	return -1, failed
}

// lose ends the context of a connection on which nothing can be sent any more. A close under way
// does so itself.
func (c *Conn) lose(err error) {
	c.failed.Store(true)
	if c.owner.Closing() {
		return
	}
	c.owner.Lost(fmt.Errorf("%w: %w", ErrClosed, err))
	c.Cut()
}

// plain returns a context for the library, which cuts the connection when the context ends. The
// connection's own context is left out: when it ends, a close frame is on its way, and closing ends
// every read and write.
func (c *Conn) plain(ctx context.Context) (plain context.Context, release func()) {
	own := c.owner.Context()
	if ctx == own { // the usual case; calling its Done would make a channel
		return context.Background(), func() {}
	}
	if done := ctx.Done(); done == nil || done == own.Done() {
		return context.Background(), func() {}
	}
	plain, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if own.Err() == nil {
			cancel(context.Cause(ctx))
		}
	})
	return plain, func() {
		stop()
		cancel(nil)
	}
}

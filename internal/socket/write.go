package socket

import (
	"context"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// Write sends a message. If it takes longer than Config.WriteTimeout, or ctx ends in the middle of
// the message, the connection is cut. An error that leaves the connection unusable ends its
// context.
func (c *Conn) Write(ctx context.Context, kind websocket.MessageType, data []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	written := false
	if c.WriteTimeout > 0 {
		c.writes.begin(c)
		defer func() { c.writes.end(c, written) }()
	}
	plain, release := c.plain(ctx)
	defer release()
	err := c.ws.Write(plain, kind, data)
	written = err == nil
	if !written && (ctx.Err() == nil || c.net.Over()) { // otherwise ctx has ended before it began
		c.lose(err)
	}
	return err
}

// writeLimit limits writes without a timer for each: at most one deadline per connection is
// planned, and checks whether a write takes too long.
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
	w.until = time.Now().Add(c.WriteTimeout)
	if !w.planned {
		w.plan(c)
	}
}

// end ends a write. written is false if it was given up while it waited for another: that is no
// progress.
func (w *writeLimit) end(c *Conn, written bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending--; w.pending > 0 && written {
		w.until = time.Now().Add(c.WriteTimeout)
	}
}

// plan plans the deadline. The lock is held.
func (w *writeLimit) plan(c *Conn) {
	if w.released {
		return
	}
	w.planned = true
	if w.watching == nil {
		w.watching = c.rt.clock.Add(w.until, func() { w.check(c) })
		return
	}
	c.rt.clock.Move(w.watching, w.until)
}

func (w *writeLimit) check(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.pending == 0:
		w.planned = false
	case time.Now().Before(w.until):
		w.plan(c)
	default:
		c.Cut()
	}
}

// release forgets the deadline. A message that is still being written, a final one for example,
// ends with the close.
func (w *writeLimit) release(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	c.rt.clock.Remove(w.watching)
}

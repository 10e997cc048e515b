package bridge

import (
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// watchTick is half of how long a connection may be without a reader before the Bridge reads.
const watchTick = 250 * time.Millisecond

// watchlist has the connections of which nobody may be reading: each is put there when it opens and after each Read, unless it is there already, and is looked at every tick until
// it is known who reads it. So a Read costs a few nanoseconds more, and a connection on which one is pending nothing.
type watchlist struct {
	clock *clock.Clock
	first atomic.Pointer[Conn]
	look  *clock.Deadline // planned while there are any
}

// listed is a connection's place there.
type listed struct {
	on   atomic.Bool
	next *Conn // those who have put it there, then the sweep
	turn uint  // of the inbox, at the last look
	seen bool  // there was one
}

func newWatchlist(c *clock.Clock) *watchlist {
	w := &watchlist{clock: c}
	w.look = &clock.Deadline{Do: w.sweep}
	return w
}

// watchSoon has the Bridge read if nobody does for a while.
func (c *Conn) watchSoon() {
	if !c.listed.on.Load() && c.listed.on.CompareAndSwap(false, true) {
		c.listed.seen = false
		c.link.b.watches.push(c)
	}
}

func (w *watchlist) push(c *Conn) {
	for {
		first := w.first.Load()
		c.listed.next = first
		if w.first.CompareAndSwap(first, c) {
			if first == nil {
				w.clock.Move(w.look, time.Now().Add(watchTick))
			}
			return
		}
	}
}

// sweep looks at all of them, on the clock's goroutine.
func (w *watchlist) sweep() {
	for c := w.first.Swap(nil); c != nil; {
		next := c.listed.next
		c.listed.next = nil
		if c.maybeNeglected() {
			w.push(c)
		}
		c = next
	}
}

// maybeNeglected reports whether the connection is to be looked at again: nobody reads, but only since lately. At the second look the Bridge reads.
func (c *Conn) maybeNeglected() bool {
	in, l := &c.inbox, &c.listed
	in.mu.Lock()
	again := in.neglected() && c.link.ctx.Err() == nil
	if again && l.seen && l.turn == in.turns {
		in.watching, again = true, false
		c.link.b.work.Go(c.watch)
	}
	l.seen, l.turn = true, in.turns
	if !again {
		l.on.Store(false) // under the lock: a Read that ends from now on puts it there again
	}
	in.mu.Unlock()
	return again
}

package inbox

import (
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// reviewEvery is the time between reviews. A connection may be without a reader for twice as long
// before its inbox reads.
const reviewEvery = 250 * time.Millisecond

// Watchlist holds the connections that may not be read by their handler. Each is added when it
// opens and after each read, unless it is on the list already, and stays until a review finds a
// reader. So a read costs a few nanoseconds more, and a connection with a pending read costs
// nothing.
type Watchlist struct {
	clock *clock.Clock
	next  clock.Deadline // planned unless the list is empty
	first atomic.Pointer[Inbox]
}

// NewWatchlist returns an empty Watchlist.
func NewWatchlist(c *clock.Clock) *Watchlist {
	w := &Watchlist{clock: c}
	w.next.Do = w.review
	return w
}

// Add has the inbox read if its handler doesn't for a while.
func (w *Watchlist) Add(in *Inbox) {
	if !in.listed.Load() && in.listed.CompareAndSwap(false, true) {
		in.seen = false
		w.push(in)
	}
}

func (w *Watchlist) push(in *Inbox) {
	for {
		first := w.first.Load()
		in.next = first
		if w.first.CompareAndSwap(first, in) {
			if first == nil {
				w.clock.Move(&w.next, time.Now().Add(reviewEvery))
			}
			return
		}
	}
}

// review reviews all connections on the list.
func (w *Watchlist) review() {
	for in := w.first.Swap(nil); in != nil; {
		next := in.next
		in.next = nil
		if in.review() {
			w.push(in)
		}
		in = next
	}
}

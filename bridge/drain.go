package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// How long the closed connections of a batch are told to wait, so that they don't come back together: a millisecond or more for each, within
// these limits.
const (
	leastReturn = 2 * time.Second
	mostReturn  = time.Minute
)

// drainStep is the shortest time between two batches.
const drainStep = 50 * time.Millisecond

// drainReserve is what is kept of the shutdown's time for the last closes: one waits a second for its peer.
const drainReserve = 2 * closeGrace

// drain closes every connection, in batches over Options.DrainOver. When ctx is about to end it closes all that are left.
func (b *Bridge) drain(ctx context.Context) {
	links := b.links.All() // in the order of a map, which is none: no session's tabs are all in one batch
	over := limit(b.opts.DrainOver)
	if end, ok := ctx.Deadline(); ok {
		over = min(over, time.Until(end)-drainReserve)
	}
	steps := int(max(1, min(over/drainStep, time.Duration(len(links)))))
	tick := time.NewTimer(0)
	defer tick.Stop()
	start := time.Now()
	for step := range steps {
		tick.Reset(time.Until(start.Add(time.Duration(step) * over / time.Duration(steps))))
		select {
		case <-tick.C:
		case <-ctx.Done():
			step = steps - 1
		}
		batch := links[:len(links)/(steps-step)]
		links = links[len(batch):]
		for _, l := range batch {
			l.end(CodeShutdown, b.comeBack(len(batch)))
			if h := l.held.Load(); h != nil { // its handler may hang
				h.saveSoon()
			}
		}
		if len(links) == 0 {
			return
		}
	}
}

// comeBack is the reason of a close at a shutdown, for one of so many that are closed at once. Its form is a promise: see Shutdown.
func (b *Bridge) comeBack(together int) string {
	perSecond := 1000.0
	if b.opts.HandshakesPerSecond > 0 {
		perSecond = b.opts.HandshakesPerSecond
	}
	span := min(max(time.Duration(float64(together)/perSecond*float64(time.Second)), leastReturn), mostReturn)
	return fmt.Sprintf("shutting down; retry after %d ms", 1+rand.Int64N(span.Milliseconds()))
}

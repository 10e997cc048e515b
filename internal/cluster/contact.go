package cluster

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// FreezeAfter is how long the store may be silent before calls that need it fail at once.
const FreezeAfter = 5 * time.Second

const (
	tick        = time.Second      // between checks
	giveUpAfter = 30 * time.Second // silence after which connections are closed
	healthyFor  = 3 * time.Second  // the node asks the store, and hears itself, every second
)

// contact judges how long the store has been silent. check is for one goroutine.
type contact struct {
	node  interface{ Contact() store.Contact }
	began time.Time

	wasSilent bool      // at the last check: the store, for almost as long as giveUpAfter
	suspected time.Time // when check last returned a suspicion; zero: there is none
}

// last returns when the whole store and any part of it last replied.
func (c *contact) last() (answered, reached time.Time) {
	at := c.node.Contact()
	since := func(t time.Time) time.Time {
		if t.Before(c.began) { // it hasn't joined yet
			return c.began
		}
		return t
	}
	return since(at.Answered), since(at.Reached)
}

func (c *contact) frozen() bool {
	_, reached := c.last()
	return time.Since(reached) >= FreezeAfter
}

func (c *contact) healthy() bool {
	at := c.node.Contact()
	return time.Since(at.Answered) < healthyFor && time.Since(at.Heard) < healthyFor
}

// check returns the start of the silence if a part of the store is silent and connections are to be
// suspected: once, and again while the silence lasts, because another part may have fallen silent.
// giveUp is true if all of the store has been silent for so long that connections are to be closed.
func (c *contact) check(now time.Time) (suspect time.Time, giveUp bool) {
	answered, reached := c.last()
	silent := now.Sub(reached)
	wasSilent := c.wasSilent
	c.wasSilent = silent >= giveUpAfter-2*tick
	switch {
	case now.Sub(answered) < FreezeAfter:
		c.suspected = time.Time{}
	case silent >= FreezeAfter:
		// One check isn't enough: this process may have been suspended while the store was working.
		return time.Time{}, silent >= giveUpAfter && wasSilent
	case c.suspected.IsZero():
		c.suspected = now
		return answered, false
	case now.Sub(c.suspected) >= giveUpAfter:
		c.suspected = now
		return now, false
	}
	return time.Time{}, false
}

package bridge

import "time"

// contact returns when the store last answered, as a whole and any part of it.
func (c *cluster) contact() (answered, reached time.Time) {
	at := c.node.Contact()
	since := func(t time.Time) time.Time {
		if t.Before(c.began) { // it has still to join
			return c.began
		}
		return t
	}
	return since(at.Answered), since(at.Reached)
}

// frozen reports whether the store has been silent for so long that nothing may be said of any session.
func (c *cluster) frozen() bool {
	if c == nil {
		return false
	}
	_, reached := c.contact()
	return time.Since(reached) >= freezeAfter
}

// healthy reports whether the node hears of the others, and they of it.
func (c *cluster) healthy() bool {
	if c == nil {
		return true
	}
	at := c.node.Contact()
	return time.Since(at.Answered) < healthyFor && time.Since(at.Heard) < healthyFor
}

// look is called every second: it doubts connections when a part of the store has been silent for a while, and gives all of them up when all of it has been for long.
func (c *cluster) look(now time.Time) {
	b := c.b
	c.holding.retry()
	answered, reached := c.contact()
	silent := now.Sub(reached) >= giveUpAfter-2*clusterTick
	wasSilent := c.silent
	c.silent = silent
	if now.Sub(answered) < freezeAfter {
		c.lost = time.Time{}
		return
	}
	if now.Sub(reached) < freezeAfter {
		since := answered
		if !c.lost.IsZero() {
			if now.Sub(c.lost) < giveUpAfter {
				return
			}
			since = now // another part may have gone silent meanwhile
		}
		c.lost = now
		b.links.SuspectAll(since)
		c.lookAtAll() // those in the parts that answer are found to be well
		return
	}
	if now.Sub(reached) < giveUpAfter || !wasSilent { // it was this process that stood still, and the store may answer any moment
		return
	}
	for _, l := range b.links.All() {
		l.end(CodeUnavailable, "session store unavailable")
	}
}

// hopeless reports whether nobody needs what the store would have to be asked for: the Bridge is being shut down, and the store doesn't answer.
func (b *Bridge) hopeless() bool { return b.work.Stopped() && b.cluster.frozen() }

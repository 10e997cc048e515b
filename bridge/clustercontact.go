package bridge

import "time"

// contact returns when the store last answered, as a whole and any part of it, and when the node last heard itself.
func (c *cluster) contact() (answered, reached, heard time.Time) {
	at := c.node.Contact()
	since := func(t time.Time) time.Time {
		if t.Before(c.began) { // it has still to join
			return c.began
		}
		return t
	}
	return since(at.Answered), since(at.Reached), since(at.Heard)
}

// frozen reports whether the store has been silent for so long that nothing may be said of any session.
func (c *cluster) frozen() bool {
	if c == nil {
		return false
	}
	_, reached, _ := c.contact()
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
	answered, reached, _ := c.contact()
	if now.Sub(answered) < freezeAfter {
		c.lost.Store(0)
		return
	}
	if c.lost.Swap(answered.UnixNano()) == 0 && now.Sub(reached) < freezeAfter { // those in other parts are found to be well
		b.links.suspectAll(answered)
		c.lookAtAll()
	}
	if now.Sub(reached) < giveUpAfter {
		return
	}
	for _, l := range b.links.everything() {
		l.end(CodeUnavailable, "session store unavailable")
	}
}

// suspectAll is suspect for all sessions with links.
func (ls *links) suspectAll(since time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, sl := range ls.bySession {
		if sl.failing.IsZero() {
			sl.failing = since
		}
	}
}

// clients returns those that have links.
func (ls *links) clients() []string {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ids := make([]string, 0, len(ls.byClient))
	for id := range ls.byClient {
		ids = append(ids, id)
	}
	return ids
}

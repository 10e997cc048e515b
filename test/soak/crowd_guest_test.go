package soak_test

import (
	"slices"
	"strconv"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// guest is a socket, with the reports of both ends. The crowd's lock guards it.
type guest struct {
	id    int
	visit *visitor
	party *party
	ghost bool // its session is over before it comes

	wants        []int     // the codes that it may end with; none: it stays
	told         bool      // an act is ending it
	notBefore    time.Time // it may not end earlier; zero: no limit
	notAfter     time.Time // likewise
	ordered      time.Time
	opened       bool // the client has reported it
	open         bool // ConnOpen
	began        bool // its handler
	settled      bool // all of these
	theirs, ours int  // the codes, as the client and ConnClose have them; 0: not closed yet
	last         report
	ends         time.Time // when its end began, or a little earlier
	firstNote    int       // the first note that may come
	from, to     int       // the notes that must come
	hangsUp      bool      // and so doesn't get messages that are on their way
}

// open has a socket opened, when not too many handshakes are under way.
func (c *crowd) open(p *party, v *visitor, ghost bool, wants ...int) {
	select {
	case c.opening <- struct{}{}:
	case <-c.stopped:
		return
	}
	now := time.Now()
	c.mu.Lock()
	c.guestIDs++
	g := &guest{id: c.guestIDs, visit: v, party: p, ghost: ghost, wants: wants, ordered: now, firstNote: len(c.sentAt) + 1}
	c.guests[g.id] = g
	if ghost {
		p.leaving++
	} else {
		p.guests = append(p.guests, g)
		if p.fate.timed == bridge.CodeExpired {
			c.timed(g)
		}
	}
	every := time.Duration(0)
	if p.active && !ghost {
		every = c.size.every
	}
	cookies := v.cookies
	c.mu.Unlock()
	path := p.fate.path
	c.child.send(order{Do: "open", ID: g.id, Path: path + "?id=" + strconv.Itoa(g.id), Cookies: cookies, Every: every})
}

// began is called by the handler.
func (c *crowd) began(connID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.guestOf(connID); g != nil {
		g.began = true
		c.look(g)
	}
}

// guestOf returns the guest of a connection. The lock is held.
func (c *crowd) guestOf(connID string) *guest {
	id, _ := strconv.Atoi(connID)
	g := c.guests[id]
	if g == nil {
		c.failLocked("an unknown connection: %q", connID)
	}
	return g
}

// hear processes a report of the clients.
func (c *crowd) hear(r report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.guests[r.ID]
	if g == nil {
		c.failLocked("a report about an unknown socket: %+v", r)
		return
	}
	if r.Problem != "" {
		c.failLocked("%s: %s", g, r.Problem)
	}
	switch r.What {
	case "opened":
		g.opened = true
		<-c.opening
	case "refused":
		<-c.opening
		c.stop()
	case "closed":
		g.theirs, g.last = r.Code, r
		c.total.add(r)
	}
	c.look(g)
}

// follow processes the events of the Bridge.
func (c *crowd) follow(events <-chan bridge.Event) {
	for e := range events {
		c.mu.Lock()
		switch e := e.(type) {
		case bridge.ConnOpen:
			c.events.opened++
			if g := c.guestOf(e.ConnID); g != nil {
				if g.open || !g.ghost && e.SessionID != g.visit.id {
					c.failLocked("%s: %+v", g, e)
				}
				g.open = true
				c.look(g)
			}
		case bridge.ConnClose:
			c.events.closed++
			if g := c.guestOf(e.ConnID); g != nil {
				if !g.open || g.ours != 0 || !g.ghost && e.SessionID != g.visit.id {
					c.failLocked("%s: %+v", g, e)
				}
				g.ours = e.Code
				c.look(g)
			}
		case bridge.SessionDestroy:
			if v := c.visits[e.SessionID]; v == nil || v.ended != "" {
				c.failLocked("an end of an unknown session, or a second one: %+v", e)
			} else if v.ended = e.Reason; v.over != e.Reason {
				c.failLocked("session of %q ended by %q, not %q", v.user, e.Reason, v.over)
			}
		}
		c.mu.Unlock()
	}
}

// look updates a guest after a report. The lock is held.
func (c *crowd) look(g *guest) {
	if !g.settled && g.opened && g.open && (g.began || g.ghost) {
		g.settled = true
		if !g.ghost {
			g.from = c.notes + 1
			c.live++
			c.arrived(g)
		}
	}
	if g.theirs == 0 || g.ours == 0 {
		return
	}
	delete(c.guests, g.id)
	if g.told {
		c.going--
	}
	c.judge(g)
	if !g.ghost {
		if g.settled {
			c.live--
		}
		g.visit.begun += g.last.Sent
		g.visit.answered += g.last.Answered
		g.party.guests = slices.DeleteFunc(g.party.guests, func(o *guest) bool { return o == g })
		g.party.gone = append(g.party.gone, g.visit)
	}
	g.party.last = g
	c.left(g.party)
}

// judge compares the end of a guest with the expected one. The lock is held.
func (c *crowd) judge(g *guest) {
	c.ends[g.ours]++
	switch at := g.last.At; {
	case !g.settled:
		c.failLocked("%s ended before it was open", g)
	case g.theirs == -1 && g.slow() && slices.Contains(g.wants, g.ours):
		c.cutShort++ // a close frame that hasn't arrived after a second may be lost: the connection is cut then
	case g.theirs != g.ours || !slices.Contains(g.wants, g.ours):
		c.failLocked("%s ended with the wrong code", g)
	case !g.notBefore.IsZero() && g.ours != bridge.CodeShutdown && at.Before(g.notBefore):
		c.failLocked("%s ended %v early", g, g.notBefore.Sub(at))
	case !g.notAfter.IsZero():
		c.late = max(c.late, at.Sub(g.notBefore))
		if late := at.Sub(g.notAfter); late > c.tooLate {
			c.tooLate, c.latest = late, g.String()
		}
	case g.told && !g.hangsUp && !c.closing: // not those of a shutdown, which are very many at once
		c.slowest = max(c.slowest, at.Sub(g.ends))
	}
	if g.ghost {
		return
	}
	if g.to == 0 && !g.notBefore.IsZero() {
		g.to, g.ends = c.notesUntil(g.notBefore), g.notBefore
	}
	if g.last.First != 0 && g.last.First < g.firstNote {
		c.failLocked("%s has got note %d, which was there before it", g, g.last.First)
	}
	if g.to < g.from {
		return
	}
	missed := g.last.First == 0 || g.last.Last < g.to
	switch {
	case missed && !g.hangsUp && g.slow():
		c.hurried++ // messages that wait when a connection closes are sent within a second, or dropped
	case g.last.First > g.from || missed && !g.hangsUp:
		c.failLocked("%s has got the notes %d to %d of %d to %d", g, g.last.First, g.last.Last, g.from, g.to)
	}
}

// slow reports whether the end of a guest took a second or more, after it was caused.
func (g *guest) slow() bool { return !g.ends.IsZero() && g.last.At.Sub(g.ends) >= time.Second }

// expect sets the expected end of a guest, before it is caused. The lock is held.
func (c *crowd) expect(g *guest, code int) {
	if len(g.wants) == 0 {
		g.told = true
		c.going++
	}
	g.wants = append(g.wants, code)
	g.to, g.ends = len(c.sentAt), time.Now()
	g.hangsUp = code == -1 || code == 1000
}

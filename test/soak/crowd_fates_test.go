package soak_test

import (
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// fate is what happens to a party of guests, again and again.
type fate struct {
	name       string
	share      int // of all sockets, in percent
	sessions   int // of a party
	tabs       int // more sockets of the first of them
	user       bool
	path       string
	quiet      bool // its clients send nothing; otherwise those of every other party do
	busy       bool // those of every party do
	idle, life time.Duration
	// act marks the guests that will end, and ends them. nil: none ends, or they expire.
	act func(*crowd, *party) error
	// timed is the code with which a guest expires.
	timed int
}

const codeOwn = 4100 // of the application's

// fates are those of the crowd. The sum of their shares is 100.
func (c *crowd) fates() []*fate {
	s := c.size
	fates := []*fate{
		{name: "stay", share: 45, sessions: 1},
		{name: "kept by messages", share: 5, sessions: 1, busy: true, idle: s.keep},
		{name: "log out", share: 6, sessions: 1, act: (*crowd).logOut},
		{name: "fall silent", share: 4, sessions: 1, quiet: true, idle: s.idle, timed: bridge.CodeExpired},
		{name: "grow old", share: 4, sessions: 1, busy: true, life: s.idle + s.idle/2, timed: bridge.CodeExpired},
		{name: "user ended", share: 6, sessions: 3, tabs: 1, user: true, act: (*crowd).endUser},
		{name: "log in", share: 6, sessions: 1, tabs: 1, act: (*crowd).logIn},
		{name: "one login too many", share: 6, sessions: mostSessions, user: true, quiet: true, act: (*crowd).evict},
		{name: "closed by code", share: 5, sessions: 1, act: (*crowd).closeConns},
		{name: "leave", share: 5, sessions: 1, act: (*crowd).leave},
		{name: "cut", share: 5, sessions: 1, act: (*crowd).cut},
		{name: "idle", share: 3, sessions: 1, path: "/crowd/idle", quiet: true, timed: bridge.CodeIdle},
	}
	for _, f := range fates {
		if f.path == "" {
			f.path = "/crowd"
		}
	}
	return fates
}

const mostSessions = 3 // of a user

// expectAll is expect for the party, whose sessions end as well if there is a reason.
func (c *crowd) expectAll(p *party, code int, over bridge.Reason) (guests []*guest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range p.guests {
		c.expect(g, code)
		g.visit.over = over
		guests = append(guests, g)
	}
	p.leaving += len(guests)
	return guests
}

func (c *crowd) logOut(p *party) error {
	c.expectAll(p, bridge.CodeDestroyed, bridge.ReasonLogout)
	text, err := c.get(p.visits[0], "/logout")
	if err == nil && text != "bye" {
		err = fmt.Errorf("logout: %q", text)
	}
	return err
}

// logIn logs in a few times in a session, and then logs out.
func (c *crowd) logIn(p *party) error {
	if p.acts++; p.acts%4 == 0 {
		return c.logOut(p)
	}
	c.expectAll(p, bridge.CodeReconnect, "")
	_, err := c.get(p.visits[0], "/login?user="+p.user())
	return err
}

func (c *crowd) endUser(p *party) error {
	c.expectAll(p, bridge.CodeDestroyed, bridge.ReasonDestroyed)
	n, err := c.app.Bridge.DestroyUser(c.t.Context(), p.user())
	if err == nil && n != p.fate.sessions {
		err = fmt.Errorf("DestroyUser has ended %d sessions", n)
	}
	return err
}

// evict logs the user in once more, which evicts the session that has been silent for longest.
func (c *crowd) evict(p *party) error {
	var oldest *visitor
	var seen time.Time
	for _, v := range p.visits {
		rec, err := c.store.Get(c.t.Context(), v.id)
		if err != nil {
			return err
		}
		if oldest == nil || rec.Seen.Before(seen) {
			oldest, seen = v, rec.Seen
		}
	}
	c.mu.Lock()
	for _, g := range p.guests {
		if g.visit == oldest {
			c.expect(g, bridge.CodeEvicted)
			p.leaving++
		}
	}
	oldest.over = bridge.ReasonEvicted
	c.mu.Unlock()
	v, err := c.plant(p.fate, p.user())
	if err == nil {
		p.visits = append(p.visits, v)
		p.next = v
	}
	return err
}

func (c *crowd) closeConns(p *party) error {
	for _, g := range c.expectAll(p, codeOwn, "") {
		closed, err := c.app.Bridge.CloseConn(c.t.Context(), fmt.Sprint(g.id), codeOwn, "over there")
		if err != nil || !closed {
			return fmt.Errorf("CloseConn: %v, %w", closed, err)
		}
	}
	return nil
}

func (c *crowd) leave(p *party) error { return c.order(p, "close", 1000) }

func (c *crowd) cut(p *party) error { return c.order(p, "cut", -1) }

func (c *crowd) order(p *party, do string, code int) error {
	for _, g := range c.expectAll(p, code, "") {
		c.child.send(order{Do: do, ID: g.id})
	}
	return nil
}

// timed sets when a guest that is about to come will expire: the handshake may be activity, and
// delay that. The lock is held.
func (c *crowd) timed(g *guest) {
	rec, err := c.store.Get(c.t.Context(), g.visit.id)
	if err != nil {
		c.failLocked("%s: its session: %v", g, err)
	}
	g.wants, g.visit.over, g.notBefore = []int{bridge.CodeExpired}, bridge.ReasonExpired, rec.Expires
}

// arrived is called when a guest's socket is open: its timeout may begin then. The lock is held.
func (c *crowd) arrived(g *guest) {
	p := g.party
	p.coming--
	switch p.fate.timed {
	case bridge.CodeExpired:
		if rec, err := c.store.Get(c.t.Context(), g.visit.id); err == nil { // otherwise the time isn't known exactly
			g.notBefore, g.notAfter = rec.Expires, rec.Expires.Add(time.Second)
		}
		p.leaving = 1
	case bridge.CodeIdle:
		g.wants = []int{bridge.CodeIdle}
		g.notBefore, g.notAfter = g.ordered.Add(c.size.idle), time.Now().Add(c.size.idle+time.Second)
		p.leaving = 1
	default:
		if p.coming == 0 {
			c.later(p)
		}
	}
}

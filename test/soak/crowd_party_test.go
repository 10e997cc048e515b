package soak_test

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// party is a few guests with one fate. One worker at a time acts for it; the crowd's lock guards
// the fields that others read.
type party struct {
	number int
	fate   *fate
	active bool
	visits []*visitor
	acts   int
	next   *visitor // replaces the next visitor that leaves; nil: a new one

	guests  []*guest
	gone    []*visitor // of guests that have ended
	last    *guest     // that has ended
	coming  int        // guests that aren't open yet
	leaving int        // guests that haven't ended yet
}

func (p *party) user() string { return fmt.Sprintf("user%d", p.number) }

// later plans the party's next act. The lock is held.
func (c *crowd) later(p *party) {
	if p.fate.act == nil {
		return
	}
	after := c.size.soonest + time.Duration(c.random.Int64N(int64(c.size.latest-c.size.soonest)))
	time.AfterFunc(after, func() { c.due(p) })
}

// due hands the party to a worker, or keeps it during a pause.
func (c *crowd) due(p *party) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused {
		c.held = append(c.held, p)
		return
	}
	c.acting++
	p.leaving++ // no guest returns before the act is done
	c.jobs <- func() {
		err := p.fate.act(c, p)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.acting--
		if err != nil {
			c.failLocked("%s: %v", p.fate.name, err)
		}
		c.left(p)
	}
}

// left is called when a guest, or an act, has ended. The lock is held.
func (c *crowd) left(p *party) {
	if p.leaving--; p.leaving == 0 && !c.closing {
		c.jobs <- func() { c.renew(p) }
	}
}

// begin brings the party in for the first time.
func (c *crowd) begin(p *party) {
	for range p.fate.sessions {
		v, err := c.plant(p.fate, p.user())
		if err != nil {
			c.fail("%s: %v", p.fate.name, err)
			return
		}
		c.mu.Lock()
		p.visits = append(p.visits, v)
		c.mu.Unlock()
		for now := time.Now().UnixMilli(); p.fate.user && time.Now().UnixMilli() == now; { // no two are equally old
			runtime.Gosched()
		}
	}
	c.enter(p, p.visits)
}

// enter opens the sockets of browsers: all of a party's, or those that have ended.
func (c *crowd) enter(p *party, visits []*visitor) {
	var of []*visitor
	for _, v := range visits {
		of = append(of, v)
		if v == p.visits[0] {
			of = append(of, slices.Repeat([]*visitor{v}, p.fate.tabs)...)
		}
	}
	c.mu.Lock()
	p.coming = len(of)
	c.mu.Unlock()
	for _, v := range of {
		c.open(p, v, false)
	}
}

// renew brings in the successors of the guests that have ended: the same browser, if its session
// still exists.
func (c *crowd) renew(p *party) {
	c.mu.Lock()
	last, gone := p.last, p.gone
	haunts := last.visit.over != "" && !last.ghost && len(p.visits) == 1 && c.random.IntN(2) == 0
	if !haunts {
		p.gone = nil
	}
	c.mu.Unlock()
	if haunts {
		c.open(p, last.visit, true, bridge.CodeNoSession)
		return
	}
	if p.next != nil { // evicted the only one that has gone
		c.finish(gone[0])
		p.visits = slices.DeleteFunc(p.visits, func(v *visitor) bool { return v == gone[0] })
		v := p.next
		p.next = nil
		c.enter(p, []*visitor{v})
		return
	}
	var back []*visitor
	for i, v := range p.visits {
		if !slices.Contains(gone, v) {
			continue
		}
		if v.over != "" {
			c.finish(v)
			var err error
			if v, err = c.plant(p.fate, p.user()); err != nil {
				c.fail("%s: %v", p.fate.name, err)
				return
			}
			p.visits[i] = v
		}
		back = append(back, v)
	}
	c.enter(p, back)
}

// finish forgets a session that is over, after its counts have been checked.
func (c *crowd) finish(v *visitor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(v)
	if v.ended != v.over {
		c.failLocked("a session has ended by %q, and what was told is %q", v.over, v.ended)
	}
	delete(c.visits, v.id)
	c.total.finished++
}

// count checks a session's counts: none was lost, none counted twice. The lock is held.
func (c *crowd) count(v *visitor) {
	if v.stored != v.best || v.answered > v.stored || v.stored > v.begun {
		c.failLocked("of %d increments %d were stored, up to %d, and %d answered", v.begun, v.stored, v.best, v.answered)
	}
}

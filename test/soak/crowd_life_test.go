package soak_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// watchTimers measures how late timers are on this machine: expiries can't be more exact.
func (c *crowd) watchTimers(ctx context.Context) {
	due := time.Now()
	every(ctx, 10*time.Millisecond, func() {
		due = due.Add(10 * time.Millisecond)
		late := time.Since(due)
		due = time.Now()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lag = max(c.lag, late)
	})
}

// note sends a note to all sockets.
func (c *crowd) note() {
	c.mu.Lock()
	c.notes++
	n := c.notes
	c.mu.Unlock()
	taken, err := c.app.Bridge.Notify(c.t.Context(), bridge.To{All: true}, fmt.Appendf(nil, "note %d", n))
	if err != nil {
		c.fail("note: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sentAt = append(c.sentAt, time.Now())
	c.taken += taken
}

// notesUntil returns how many notes had been sent by then. The lock is held.
func (c *crowd) notesUntil(at time.Time) int {
	n, _ := slices.BinarySearchFunc(c.sentAt, at, time.Time.Compare)
	return n
}

// request increments over HTTP, or now and then rotates the token, in a session that stays.
func (c *crowd) request() {
	c.mu.Lock()
	p := c.parties[c.random.IntN(c.staying)]
	path := "/rotate"
	v := p.visits[0]
	if c.random.IntN(10) > 0 {
		path = "/crowd/add"
		v.begun++
	}
	c.mu.Unlock()
	text, err := c.get(v, path)
	if err != nil {
		c.fail("%v", err)
	}
	if path == "/crowd/add" && text != "" {
		c.mu.Lock()
		v.answered++
		c.mu.Unlock()
	}
}

// pause suspends the acts of the parties, and resume continues them.
func (c *crowd) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = true
}

func (c *crowd) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = false
	for _, p := range c.held { // not all at once
		c.later(p)
	}
	c.held = nil
}

// stored returns the counts of the sessions in the store.
func (c *crowd) stored() map[string]int {
	counts := make(map[string]int)
	for rec, err := range c.store.List(c.t.Context()) {
		var values struct{ Count int }
		if err == nil {
			err = json.Unmarshal(rec.Data, &values)
		}
		if err != nil {
			c.fail("the store's sessions: %v", err)
			break
		}
		counts[rec.ID] = values.Count
	}
	return counts
}

// every calls do until ctx ends.
func every(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			do()
		case <-ctx.Done():
			return
		}
	}
}

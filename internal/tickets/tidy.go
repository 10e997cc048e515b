package tickets

import (
	"context"
	"sync"
	"time"
)

// tidying plans the removal of tickets that are not redeemed, soon after they have expired: a
// client may ask for any number of them, and the next Sweep may be hours away, or never come.
type tidying struct {
	mu      sync.Mutex
	planned bool
	last    time.Time // when the newest ticket of this process expires
}

// tidyAfter plans a removal for the time at which a new ticket expires, if none is planned. With a
// store.Lister it does nothing: reading the whole store costs too much.
func (t *Tickets) tidyAfter(expires time.Time) {
	if t.sweeper == nil {
		return
	}
	t.tidying.mu.Lock()
	defer t.tidying.mu.Unlock()
	if expires.After(t.tidying.last) {
		t.tidying.last = expires
	}
	if !t.tidying.planned {
		t.tidying.planned = true
		t.cfg.Clock.Add(expires, t.tidy)
	}
}

// tidy is called by the clock.
func (t *Tickets) tidy() {
	t.cfg.Go(func() {
		began := time.Now()
		defer t.planNext(began) // also if the store panics
		if err := t.Sweep(context.Background()); err != nil {
			t.cfg.Failed(err)
		}
	})
}

// planNext plans the removal of the tickets that were issued since.
func (t *Tickets) planNext(began time.Time) {
	t.tidying.mu.Lock()
	defer t.tidying.mu.Unlock()
	if t.tidying.planned = t.tidying.last.After(began); t.tidying.planned {
		t.cfg.Clock.Add(t.tidying.last, t.tidy)
	}
}

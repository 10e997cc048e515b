package bridge

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// ticketTidying is when the tickets that nobody has redeemed are removed: soon after they have expired, as a client may ask for any number of them, and the
// cleanup of sessions may come hours later, or never.
type ticketTidying struct {
	mu      sync.Mutex
	planned bool
	last    time.Time // when the newest ticket of this process expires
}

// tidyAfter has the tickets that have expired by then removed. Looking through a store.Lister costs too much.
func (t *tickets) tidyAfter(expires time.Time) {
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
		t.b.clock.Add(expires, t.tidy)
	}
}

// tidy runs on the clock.
func (t *tickets) tidy() {
	t.b.pools.background.Go(func() {
		began := time.Now()
		defer t.planTidy(began) // also if the store panics
		if err := t.sweep(context.Background()); err != nil {
			t.b.logAside(func() {
				t.b.opts.Logger.LogAttrs(context.Background(), slog.LevelWarn, "expired tickets could not be removed", slog.Any("error", err))
			})
		}
	})
}

// planTidy has the tickets removed that came since.
func (t *tickets) planTidy(began time.Time) {
	t.tidying.mu.Lock()
	defer t.tidying.mu.Unlock()
	if t.tidying.planned = t.tidying.last.After(began); t.tidying.planned {
		t.b.clock.Add(t.tidying.last, t.tidy)
	}
}

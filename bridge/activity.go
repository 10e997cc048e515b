package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Active records activity of the client, which keeps the session from its idle timeout. It waits for nothing. A Conn does it for each
// message that it reads.
func (l *Link) Active() { l.activeNow(time.Now()) }

func (l *Link) activeNow(now time.Time) {
	l.active.Store(int64(l.b.clock.Offset(now)))
	if id, claimed := l.b.links.ClaimActivity(&l.entry, now, l.b.opts.TouchInterval); claimed {
		l.b.pools.activity.Go(func() { l.b.recordActivity(id) })
	}
}

// activeSince returns since when the client has not been active, as an offset on the clock.
func (l *Link) activeSince() time.Duration { return time.Duration(l.active.Load()) }

func (b *Bridge) recordActivity(id string) {
	var recorded *store.Record
	defer func() { b.links.Recorded(id, recorded) }() // whatever happens, a store that panics included
	if b.hopeless() {
		return
	}
	rec, err := b.gateway.LoadActive(context.Background(), id, func(*store.Record) error { return nil })
	switch {
	case err == nil:
		recorded = &rec
	case errors.Is(err, ErrSessionMissing):
		b.scheduleRecheck(id, b.forget(context.Background(), id, nil))
	default:
		b.storeFailed(context.Background(), "record a session's activity", id, err)
	}
}

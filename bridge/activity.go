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
	id, _ := l.b.links.sessionOf(l)
	if id == "" || !l.b.links.claimActivity(id, now, l.b.opts.TouchInterval) {
		return
	}
	l.b.pools.activity.Go(func() { l.b.recordActivity(id) })
}

// activeSince returns since when the client has not been active, as an offset on the clock.
func (l *Link) activeSince() time.Duration { return time.Duration(l.active.Load()) }

func (b *Bridge) recordActivity(id string) {
	defer b.links.recorded(id, nil) // whatever happens, a store that panics included
	if b.hopeless() {
		return
	}
	rec, err := b.gateway.LoadActive(context.Background(), id, func(*store.Record) error { return nil })
	switch {
	case err == nil:
		b.links.recorded(id, &rec)
	case errors.Is(err, ErrSessionMissing):
		b.doubt(id, b.forget(context.Background(), id, nil))
	default:
		b.storeFailed(context.Background(), "record a session's activity", id, err)
	}
}

// claimActivity reports whether activity of the session at now is to be recorded, and by the caller: what is recorded is older than the
// interval, and nobody else is at it.
func (ls *links) claimActivity(id string, now time.Time, interval time.Duration) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	sl := ls.bySession[id]
	if sl == nil || sl.recording {
		return false
	}
	if sl.idle > 0 {
		interval = min(interval, sl.idle/10)
	}
	sl.recording = now.Sub(sl.seen) >= interval
	return sl.recording
}

// recorded ends what claimActivity began. A nil rec says that it failed.
func (ls *links) recorded(id string, rec *store.Record) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	sl := ls.bySession[id]
	if sl == nil {
		return
	}
	sl.recording = false
	if rec != nil {
		sl.know(rec)
	}
}

// know takes over what a record says of the session's activity.
func (sl *sessionLinks) know(rec *store.Record) {
	sl.idle, sl.expires = rec.Idle, rec.Expires
	if rec.Seen.After(sl.seen) {
		sl.seen = rec.Seen
	}
}

package bridge

import (
	"math/rand/v2"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// nextLook returns when a session with links is to be looked at: when it may have expired, and after Options.RevalidateEvery, since it may have
// ended without a word. An earlier look that is planned does for the latter. The zero time is never. The lock is held.
func (ls *links) nextLook(b *Bridge, sl *sessionLinks, rec *store.Record) time.Time {
	at := rec.Expires
	if every := b.opts.RevalidateEvery; every != Off && (sl.expiry == nil || !ls.clock.Planned(sl.expiry)) {
		// Sessions that came at once are not all looked at at once.
		next := time.Now().Add(every/2 + rand.N(every-every/2))
		if at.IsZero() || next.Before(at) {
			at = next
		}
	}
	return at
}

// revalidateRetry is after how long a look that failed is made again, as long as the session's time isn't over.
const revalidateRetry = 5 * time.Second

// retryLook returns when to look again at a session whose time isn't over.
func retryLook(now time.Time, sl *sessionLinks) time.Time {
	at := now.Add(revalidateRetry/2 + rand.N(revalidateRetry/2))
	if !sl.expires.IsZero() && sl.expires.Before(at) {
		at = sl.expires
	}
	return at
}

// suspect notes that the session may have ended: its connections are given up if the store can't say for long.
func (ls *links) suspect(id string, now time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if sl := ls.bySession[id]; sl != nil && sl.failing.IsZero() {
		sl.failing = now
	}
}

// stale returns the links that a login has shut out, on another node or past this Bridge: they proved a token from before it. The lock is held.
func (sl *sessionLinks) stale(rec *store.Record) (stale []*Link) {
	for _, l := range sl.links {
		if l.proved != 0 && l.proved < rec.LoginGeneration {
			stale = append(stale, l)
		}
	}
	return stale
}

// cutOff parts the link from its session, and has it closed when it next reads, for the answer that is on its way, or soon.
func (l *Link) cutOff() {
	c := reconnect()
	c.atRead = true
	l.endLater(c, closeGrace) // first: its handler may notice at once
	l.b.links.cut(l)
}

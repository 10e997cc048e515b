package activity

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Config is what an Activity needs. Every field is set.
type Config struct {
	Gateway       *gateway.Gateway
	TouchInterval time.Duration // how long activity may go unrecorded
	StoreTimeout  time.Duration // how long recording it may take

	// Since calls each with the sessions that were active in this process since then, and when. It
	// may call it several times for a session.
	Since   func(since time.Time, each func(sessionID string, at time.Time))
	Conns   func() map[string]int      // the numbers of connections here, by session
	ConnsOf func(sessionID string) int // likewise, of one session

	// Ask asks the other nodes, and calls each with every item of their answers. cluster.ErrSilent.
	Ask func(ctx context.Context, q Question, each func(Item)) error
}

// Activity finds sessions by their activity.
type Activity struct{ cfg Config }

// New returns an Activity.
func New(cfg Config) *Activity { return &Activity{cfg} }

// Question asks a node for the number of connections of each of its sessions, and for the sessions
// that were active within a time before now.
type Question struct {
	Within time.Duration `json:"within,omitempty"`
}

// Item is a part of the answer: the number of connections that a session has on a node, or how long
// ago it was active.
type Item struct {
	SessionID string         `json:"id"`
	N         int            `json:"n"`
	Ago       *time.Duration `json:"ago,omitempty"`
}

// Answer returns the answer of this node.
func (a *Activity) Answer(q Question) (items []Item) {
	for id, n := range a.cfg.Conns() {
		items = append(items, Item{SessionID: id, N: n})
	}
	now := time.Now()
	for id, at := range a.unrecorded(now, q.Within) {
		ago := max(0, now.Sub(at))
		items = append(items, Item{SessionID: id, Ago: &ago})
	}
	return items
}

// recent is what is known of the activity within a time before now, beside the store.
type recent struct {
	since    time.Time            // when that time began
	recorded time.Time            // no session that was active since is recorded as last active before
	active   map[string]time.Time // sessions that were active, if it may not be recorded yet
	conns    map[string]int       // connections on the other nodes, by session
	silent   error                // cluster.ErrSilent: some nodes haven't answered
}

// recent asks the other nodes if ask is true.
func (a *Activity) recent(ctx context.Context, now time.Time, within time.Duration, ask bool) (r recent, err error) {
	r.since = now.Add(-within)
	r.recorded = r.since
	r.active = a.unrecorded(now, within)
	if a.precise(within) {
		r.recorded = r.since.Add(-a.cfg.TouchInterval - a.cfg.StoreTimeout)
	}
	if ask {
		r.conns = make(map[string]int)
		r.silent = a.cfg.Ask(ctx, Question{within}, func(i Item) {
			r.conns[i.SessionID] += i.N
			if i.Ago != nil {
				addLatest(r.active, i.SessionID, now.Add(-*i.Ago))
			}
		})
	}
	if r.silent != nil && !errors.Is(r.silent, cluster.ErrSilent) {
		return r, r.silent
	}
	return r, nil
}

// unrecorded returns the sessions that were active in this process within the time before now, and
// when, if that may not be recorded yet.
func (a *Activity) unrecorded(now time.Time, within time.Duration) map[string]time.Time {
	active := make(map[string]time.Time)
	if a.precise(within) {
		a.cfg.Since(now.Add(-within), func(id string, at time.Time) { addLatest(active, id, at) })
	}
	return active
}

// addLatest keeps the later time, in the precision of records.
func addLatest(active map[string]time.Time, id string, at time.Time) {
	if at = at.UTC().Truncate(time.Millisecond); at.After(active[id]) {
		active[id] = at
	}
}

// precise reports whether activity within a time may be missing in the store. For a longer time, a
// session that is in use has been recorded.
func (a *Activity) precise(within time.Duration) bool {
	return within > 0 && within <= a.cfg.TouchInterval
}

package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// Config is how a Gateway behaves. Every field but KeepLifetime and Gate is set.
type Config struct {
	TouchInterval time.Duration // longest time for which activity may go unrecorded; greater than 0
	MaxValueBytes int           // per session; 0: no limit
	StoreTimeout  time.Duration // for one write to the store
	KeepLifetime  bool          // a login doesn't start the lifetime of the session again

	// Committed and Ended are called for every change under the session's commit lock, in the order of
	// the changes. They must not block or call the gateway, and add calls of an application's code to
	// the change's Later.
	Committed func(Commit)
	Ended     func(End)
	// Reason returns the reason, for other processes, of an end with the tag; nil is expiry.
	Reason func(tag any) string
	// Watched reports whether commits need to list the keys that they change.
	Watched func() bool
	// Doubted is called for a session that may have ended: the store's answer failed.
	Doubted func(id string)
	// Failed is called for a failure after which the gateway goes on. It must not block, and must not
	// call the gateway or an application's code.
	Failed func(ctx context.Context, doing, id string, err error)
	// Gate is asked before a session is created or a user logged in; it may be nil.
	Gate Gate
}

// Commit is a change that has been stored.
type Commit struct {
	Record     *store.Record // as stored; not to be changed, and not to be kept
	IsNew      bool
	Rotated    bool     // the token was replaced
	Login      bool     // by a login: older sockets are cut off
	PrevUserID string   // who was logged in before the login
	Watched    bool     // Config.Watched, when it was stored
	Keys       []string // that changed, if Watched
	Tag        any      // the committer's
	Later      *Later   // for when no lock is held
}

// End is the end of a session.
type End struct {
	ID, ClientID string // ClientID is "" if it isn't known
	UserID       string // of the record that was read for the end; "" also if none was read
	Found        bool   // it was in the store; otherwise it had ended before, and its end may have been reported
	Tag          any    // of the caller that ended it; nil: it expired
	Later        *Later // for when no lock is held
}

// Gateway loads, changes and ends the sessions of a store. It is safe for concurrent use.
type Gateway struct {
	Finder

	store    store.Store
	toucher  store.Toucher // nil: the store isn't one
	sweeper  store.Sweeper
	ender    store.Ender
	cached   store.CachedGetter
	reserver store.Reserver
	locker   store.UserLocker
	pinger   store.Pinger
	cfg      Config
	locks    locks
	shared   sharedLoads
	sweeping ctxlock.Lock // held until what a sweep has removed is reported
	process  [8]byte      // half of every WriteID of this gateway
	writes   atomic.Uint64
	stats    counters
}

type counters struct {
	conflicts, touches, writes, failures, expired atomic.Uint64
}

// Stats counts what the gateway has done.
type Stats struct {
	Writes, Touches, Conflicts, StoreErrors, Expired uint64
}

// New returns a gateway to st.
func New(st store.Store, cfg Config) *Gateway {
	g := &Gateway{Finder: newFinder(st), store: st, cfg: cfg}
	g.toucher, _ = store.As[store.Toucher](st)
	g.sweeper, _ = store.As[store.Sweeper](st)
	g.ender, _ = store.As[store.Ender](st)
	g.cached, _ = store.As[store.CachedGetter](st)
	g.reserver, _ = store.As[store.Reserver](st)
	g.locker, _ = store.As[store.UserLocker](st)
	g.pinger, _ = store.As[store.Pinger](st)
	_, _ = rand.Read(g.process[:])
	g.locks.init()
	return g
}

// Stats returns the counts so far.
func (g *Gateway) Stats() Stats {
	return Stats{
		Writes:      g.stats.writes.Load(),
		Touches:     g.stats.touches.Load(),
		Conflicts:   g.stats.conflicts.Load(),
		StoreErrors: g.stats.failures.Load(),
		Expired:     g.stats.expired.Load(),
	}
}

// Acquire returns the Lock of a session. Release it.
func (g *Gateway) Acquire(id string) *Lock { return g.locks.acquire(id) }

// Now returns the time in the precision of records.
func Now() time.Time { return precise(time.Now()) }

func precise(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (g *Gateway) writeID() (w store.WriteID) {
	copy(w[:], g.process[:])
	binary.BigEndian.PutUint64(w[8:], g.writes.Add(1))
	return w
}

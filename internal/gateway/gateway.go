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

// Config is how a Gateway behaves. Every field but Gate is set.
type Config struct {
	TouchInterval time.Duration // longest time for which activity may go unrecorded; more than 0
	MaxValueBytes int           // per session; 0: no limit
	StoreTimeout  time.Duration // for one write to the store

	// Committed and Ended are told of every change while the session's commit lock is held, in the
	// order of the changes. They must be quick, must not call the gateway, and leave what runs an
	// application's code to the change's Later.
	Committed func(Commit)
	Ended     func(End)
	// Reason is what other processes are told of the end for which somebody's tag stands, or time:
	// nil.
	Reason func(tag any) string
	// Watched reports whether somebody wants to know which keys a commit changes.
	Watched func() bool
	// Doubted is told of a session that may have ended: the store has failed to say.
	Doubted func(id string)
	// Failed is told of what the gateway could not do, and carries on without. It must be quick,
	// must not call the gateway or an application's code.
	Failed func(ctx context.Context, doing, id string, err error)
	// Gate is asked before a session is created or a user logged in; nil: nobody is.
	Gate Gate
}

// Commit tells of a change that has been stored.
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

// End tells that a session is over.
type End struct {
	ID, ClientID string // ClientID is "" where nobody knows it
	UserID       string // of the record that was read for the end; "" also where none was
	Found        bool   // it was in the store; otherwise it had gone before, and perhaps been reported
	Tag          any    // the one who ended it; nil: time did
	Later        *Later // for when no lock is held
}

// Gateway makes sessions of what a store holds. It is safe for concurrent use.
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
	g.toucher, _ = st.(store.Toucher)
	g.sweeper, _ = st.(store.Sweeper)
	g.ender, _ = st.(store.Ender)
	g.cached, _ = st.(store.CachedGetter)
	g.reserver, _ = st.(store.Reserver)
	g.locker, _ = st.(store.UserLocker)
	g.pinger, _ = st.(store.Pinger)
	g.sweeping = ctxlock.New()
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

// Now is the time in the precision in which records keep it.
func Now() time.Time { return precise(time.Now()) }

func precise(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (g *Gateway) writeID() (w store.WriteID) {
	copy(w[:], g.process[:])
	binary.BigEndian.PutUint64(w[8:], g.writes.Add(1))
	return w
}

// touchInterval is the configured one, or less for a session whose idle timeout is short.
func (g *Gateway) touchInterval(idle time.Duration) time.Duration {
	return min(g.cfg.TouchInterval, idle/10)
}

package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Config is how a Gateway behaves. Every field but Gate is set.
type Config struct {
	TouchInterval time.Duration // longest time for which activity may go unrecorded; more than 0
	MaxValueBytes int           // per session; 0: no limit
	StoreTimeout  time.Duration // for one write to the store

	// Committed and Ended are told of every change while the session's commit lock is held, in the order of the changes.
	// They must be quick, must not call the gateway, and leave what runs an application's code to the change's Later.
	Committed func(Commit)
	Ended     func(End)
	// Reason is what other processes are told of the end for which somebody's tag stands, or time: nil.
	Reason func(tag any) string
	// Watched reports whether somebody wants to know which keys a commit changes.
	Watched func() bool
	// Doubted is told of a session that may have ended: the store has failed to say.
	Doubted func(id string)
	// Failed is told of what the gateway could not do, and carries on without. It must be quick, must not call the gateway or an application's code.
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
	store    store.Store
	toucher  store.Toucher // nil: the store isn't one
	sweeper  store.Sweeper
	lister   store.Lister
	ender    store.Ender
	cached   store.CachedGetter
	reserver store.Reserver
	order    store.ClientOrder
	clients  store.ClientIndex
	cfg      Config
	locks    locks
	shared   sharedLoads
	sweeping chan struct{} // 1-slot lock: held until what a sweep has removed is reported
	process  [8]byte       // half of every WriteID of this gateway
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
	g := &Gateway{store: st, cfg: cfg}
	g.toucher, _ = st.(store.Toucher)
	g.sweeper, _ = st.(store.Sweeper)
	g.lister = Lister(st)
	g.ender, _ = st.(store.Ender)
	g.cached, _ = st.(store.CachedGetter)
	g.reserver, _ = st.(store.Reserver)
	g.order, _ = st.(store.ClientOrder)
	g.clients = ClientIndex(st)
	g.sweeping = make(chan struct{}, 1)
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

// Load returns the session's record. ErrMissing when there is none, or none any more: one past its time is ended here, at
// the moment of use.
func (g *Gateway) Load(ctx context.Context, id string) (store.Record, error) {
	rec, _, err := g.LoadAt(ctx, id, nil)
	return rec, err
}

// LoadAt is Load that also says when the session was alive. A caller that holds a lock gives it a Later, to run when it holds it no more.
func (g *Gateway) LoadAt(ctx context.Context, id string, later *Later) (rec store.Record, now time.Time, err error) {
	op := g.attached(ctx)
	defer op.stop()
	if rec, err = g.get(op, id); err != nil {
		return rec, now, err
	}
	if now = Now(); rec.Expired(now) {
		if _, err := g.expire(ctx, id, later); err != nil {
			g.cfg.Failed(ctx, "remove a session past its time", id, err)
		}
		return rec, now, ErrMissing
	}
	return rec, now, nil
}

// LoadCachedAt is LoadAt from the store's memory, if that has the session as it was at the revision or later; otherwise it is LoadAt.
func (g *Gateway) LoadCachedAt(ctx context.Context, id string, revision uint64, later *Later) (rec store.Record, now time.Time, err error) {
	if g.cached == nil {
		return g.LoadAt(ctx, id, later)
	}
	op := g.attached(ctx)
	defer op.stop()
	rec, err = g.cached.GetCached(op, id)
	if now = Now(); err != nil || CheckRecord(&rec, id) != nil || rec.Revision < revision || rec.Expired(now) {
		return g.LoadAt(ctx, id, later) // what it says about the end is said by the store itself
	}
	return rec, now, nil
}

// LoadActive is Load for a session that is being used: it is touched where that is due. Before that, check may refuse it.
func (g *Gateway) LoadActive(ctx context.Context, id string, check func(*store.Record) error) (store.Record, error) {
	k := g.Acquire(id) // held from before the load, so that all who see one old Seen share one claim
	defer k.Release()
	rec, now, err := g.LoadAt(ctx, id, nil)
	if err == nil {
		err = check(&rec)
	}
	if err == nil {
		err = g.Touch(ctx, k, &rec, now)
	}
	return rec, err
}

// Report calls tell, in order with the reports of changes, if the session still exists.
func (g *Gateway) Report(ctx context.Context, id string, tell func(*store.Record)) error {
	return g.ReportIf(ctx, id, func() bool { return true }, tell)
}

func (g *Gateway) writeID() (w store.WriteID) {
	copy(w[:], g.process[:])
	binary.BigEndian.PutUint64(w[8:], g.writes.Add(1))
	return w
}

// touchInterval is the configured one, or less for a session whose idle timeout is short.
func (g *Gateway) touchInterval(idle time.Duration) time.Duration {
	return min(g.cfg.TouchInterval, idle/10)
}

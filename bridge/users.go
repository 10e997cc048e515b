package bridge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/store"
)

// Filter selects the sessions that match every field that isn't zero. The zero Filter selects all.
type Filter struct {
	UserID, ClientID string
	ActiveWithin     time.Duration // active during this time before now, to within Options.TouchInterval
}

// Info describes a session to its user or to an administrator. It contains no values, and nothing
// that opens the session.
type Info struct {
	ID, ClientID, UserID   string // the ID is that of GetByID, DestroyByID and the like
	Addr, UserAgent        string // of the client when the session was created or last logged in
	Created, Seen, Expires time.Time
	Idle, Lifetime         time.Duration // 0: no limit
	Reads                  uint64        // loads by this process for requests and WithSession, since it saw the session
	Writes                 uint64        // how often it was stored, by any process
	Bytes                  int           // size of its encoded values
	Conns                  int           // its open connections and links in this process
}

// Sessions yields the sessions that the filter selects, the last active first, without expired
// ones. It reads only as far as the loop goes: leave the loop at the end of a page. The loop may
// call the Bridge, and may end the session that it gets. It may or may not see changes that are
// made meanwhile. An error is the last item.
//
// The cost is in proportion to the sessions under the best index of the store: store.UserIndex for
// a user's, store.ClientIndex for a client's, otherwise store.ActivityIndex. A store.Lister without
// these is read as a whole, into memory. ErrUnsupported, which names them, if the store is none of
// them; ErrStoreUnavailable, and the cause of ctx's end.
func (b *Bridge) Sessions(ctx context.Context, f Filter) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if f.ActiveWithin < 0 {
			yield(Info{}, fmt.Errorf("bridge: Filter.ActiveWithin: %v is negative", f.ActiveWithin))
			return
		}
		now := gateway.Now()
		var since time.Time
		if f.ActiveWithin > 0 {
			since = now.Add(-f.ActiveWithin)
		}
		matches := func(rec *store.Record) bool { return f.matches(rec, since, now) }
		all, err := b.gateway.Newest(ctx, gateway.Query{UserID: f.UserID, ClientID: f.ClientID, Since: since}, matches)
		if err != nil {
			yield(Info{}, err)
			return
		}
		for rec, err := range all {
			switch {
			case err != nil:
				yield(Info{}, gateway.Unavailable(ctx, "list the sessions", err))
				return
			case rec.Seen.Before(since): // and so are all that follow
				return
			case matches(&rec) && !yield(b.info(&rec), nil):
				return
			}
		}
	}
}

func (f *Filter) matches(rec *store.Record, since, now time.Time) bool {
	return (f.UserID == "" || rec.UserID == f.UserID) && (f.ClientID == "" || rec.ClientID == f.ClientID) &&
		!rec.Seen.Before(since) && !rec.Expired(now)
}

func (b *Bridge) info(rec *store.Record) Info {
	return Info{
		ID: rec.ID, ClientID: rec.ClientID, UserID: rec.UserID, Addr: rec.Addr, UserAgent: rec.UserAgent,
		Created: rec.Created, Seen: rec.Seen, Expires: rec.Expires, Idle: rec.Idle, Lifetime: rec.Lifetime,
		Reads: b.clients.Reads(rec.ID), Writes: rec.Writes, Bytes: len(rec.Data), Conns: b.links.CountOfSession(rec.ID),
	}
}

// Activity is the result of Bridge.Activity.
type Activity struct {
	Users    int // different users who were active
	Sessions int // sessions that were active and haven't ended or expired since
	Conns    int // connections and links that are open now on those sessions, on every node
}

// Activity counts the users and sessions that were active within that time before now, to within
// Options.TouchInterval. A session is active when a request or a message uses it.
//
// With a store.ActiveLister or a store.ActivityIndex the cost is in proportion to the active
// sessions; a store.Lister is read as a whole. Every node is asked for its connections. An error if
// within isn't more than 0; ErrUnsupported, ErrStoreUnavailable, the cause of ctx's end;
// ErrNodeSilent beside the counts of the nodes that have answered.
func (b *Bridge) Activity(ctx context.Context, within time.Duration) (Activity, error) {
	if within <= 0 {
		return Activity{}, fmt.Errorf("bridge: Activity within %v: it must be more than 0", within)
	}
	now := gateway.Now()
	all, err := b.gateway.Active(ctx, now.Add(-within), now)
	if err != nil {
		return Activity{}, err
	}
	elsewhere, silent := b.countsOfNodes(ctx)
	if silent != nil && !errors.Is(silent, ErrNodeSilent) {
		return Activity{}, silent
	}
	var a Activity
	var users []string
	for active, err := range all {
		if err != nil {
			return Activity{}, gateway.Unavailable(ctx, "list the active sessions", err)
		}
		a.Sessions++
		a.Conns += b.links.CountOfSession(active.ID) + elsewhere[active.ID]
		if active.UserID != "" {
			users = append(users, active.UserID)
		}
	}
	different := make(map[string]struct{}, len(users)) // to grow it would take longer than all the rest
	for _, user := range users {
		different[user] = struct{}{}
	}
	a.Users = len(different)
	return a, silent
}

// DestroyUser ends the user's sessions, except those with the given IDs, and returns how many it
// has ended: "sign out my other devices" (ASVS 7.4.3, 7.5.2). Connections in this process are being
// closed when it returns.
//
// A concurrent login of the user, in this process or on another node of a store that is a
// store.UserLocker, is either ended with the others or comes after the call as a whole. A login to
// a session that the call ends gives ErrSessionGone. With a store.UserLocker the user's logins wait
// for the call, for Options.StoreTimeout at most (ErrStoreUnavailable); otherwise the call waits
// for the logins that began before it. A login of unknown outcome (ErrStoreUnavailable) may be
// stored later.
//
// It needs a store.UserIndex, or reads a store.Lister or a store.ActivityIndex as a whole;
// otherwise ErrUnsupported. Unless very many fail it goes on after a session that can't be ended,
// and joins the errors. Sessions that have ended or expired before don't count. ErrUserID for an
// invalid userID.
func (b *Bridge) DestroyUser(ctx context.Context, userID string, except ...string) (int, error) {
	if err := checkUserID(userID); err != nil {
		return 0, err
	}
	return b.logins.DestroyUser(ctx, b.gateway, userID, except, &origin{via: ViaAPI, reason: ReasonDestroyed})
}

// DestroyAll ends every session and returns how many it has ended. A concurrently created session
// is either ended with the others or comes after the call as a whole: see DestroyUser. It needs a
// store.Lister or a store.ActivityIndex; otherwise ErrUnsupported.
func (b *Bridge) DestroyAll(ctx context.Context) (int, error) {
	return b.logins.DestroyAll(ctx, b.gateway, &origin{via: ViaAPI, reason: ReasonDestroyed})
}

// newLimits returns the limits on the sessions of a user and of a client.
func (b *Bridge) newLimits() *logins.Limits {
	return logins.NewLimits(logins.Config{
		Gateway:    b.gateway,
		PerUser:    b.opts.MaxSessionsPerUser,
		Refuse:     b.opts.OnTooManySessions == RefuseLogin,
		PerClient:  b.opts.MaxSessionsPerClient,
		HasConns:   b.links.HasSession,
		CountConns: b.links.CountOfClient,
		Evicted:    func(tag any) any { return &origin{via: tag.(*origin).via, reason: ReasonEvicted} },
		Failed: func(ctx context.Context, doing string, err error) {
			b.failed(ctx, slog.LevelError, Failure{Doing: doing, Err: err})
		},
	})
}

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

// Filter selects sessions: those that match every field that isn't zero. The zero Filter selects
// all.
type Filter struct {
	UserID, ClientID string
	ActiveWithin     time.Duration // active during this time before now, to within Options.TouchInterval
}

// Info describes a session to its user or to an administrator. It holds no values, and nothing of
// it opens the session.
type Info struct {
	ID, ClientID, UserID   string // the ID is that of GetByID, DestroyByID and the like
	Addr, UserAgent        string // of the client when the session was created or last logged in
	Created, Seen, Expires time.Time
	Idle, Lifetime         time.Duration // 0: no limit
	Reads                  uint64        // loads by this process for requests and WithSession, since it first saw the session
	Writes                 uint64        // how often it was stored, by any process
	Bytes                  int           // size of its encoded values
	Conns                  int           // its open connections and links in this process
}

// Sessions yields the sessions that the filter selects, the last active first, without expired
// ones. It reads on only as far as the loop goes, so a list is paged by leaving the loop. The loop
// may call the Bridge, also to end the session that it is shown. A change during the loop may or
// may not be seen. Nothing is yielded after an error.
//
// The cost is in proportion to the sessions under the best index of the store: store.UserIndex for
// a user's, store.ClientIndex for a client's, otherwise store.ActivityIndex. A store that is only a
// store.Lister is read as a whole, and the list is kept in memory. ErrUnsupported, which names
// them, if the store is none of these; ErrStoreUnavailable, and the cause of ctx's end.
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
			case rec.Seen.Before(since): // and so were all that follow, when the list began
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

// Activity counts what is active.
type Activity struct {
	Users    int // different users who were active
	Sessions int // sessions that were active and haven't ended or expired since
	Conns    int // connections and links that are open now on those sessions, on every node
}

// Activity counts what was active within that time before now, to within Options.TouchInterval. A
// session is active when a request or a message uses it.
//
// The cost is in proportion to the active sessions with a store.ActiveLister or a
// store.ActivityIndex. A store that is only a store.Lister is read as a whole. Every node is asked
// for its connections. An error for a time that isn't more than 0; ErrUnsupported,
// ErrStoreUnavailable, the cause of ctx's end; ErrNodeSilent beside the counts of the nodes that
// have answered.
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
	different := make(map[string]struct{}, len(users)) // growing it takes longer than all the rest
	for _, user := range users {
		different[user] = struct{}{}
	}
	a.Users = len(different)
	return a, silent
}

// DestroyUser ends the user's sessions and returns how many there were, except those with the given
// IDs: "sign out my other devices" (ASVS 7.4.3, 7.5.2). Connections in this process are being
// closed when it returns.
//
// It is complete. Each login that is under way meanwhile, in this process and on the other nodes of
// a store that is a store.UserLocker, is either ended with the others or comes after it as a whole.
// A login to a session of the user that is about to end gives ErrSessionGone. With a
// store.UserLocker the user's logins wait for it, for Options.StoreTimeout at most
// (ErrStoreUnavailable). Otherwise logins don't wait, and it waits for those that were on their way
// to the store before it. A login whose outcome the store has left open (ErrStoreUnavailable) may
// be stored after it.
//
// It needs a store.UserIndex; a store.Lister or a store.ActivityIndex is looked through; otherwise
// ErrUnsupported. After a session that can't be ended it goes on with the others, unless very many
// fail. The error joins the failures, beside the number of sessions that were ended. Sessions that
// had ended or expired before don't count. ErrUserID if userID can't be a user ID.
func (b *Bridge) DestroyUser(ctx context.Context, userID string, except ...string) (int, error) {
	if err := checkUserID(userID); err != nil {
		return 0, err
	}
	return b.logins.DestroyUser(ctx, b.gateway, userID, except, &origin{via: ViaAPI, reason: ReasonDestroyed})
}

// DestroyAll ends every session and returns how many there were. A session that is created
// meanwhile is either ended with the others or comes after it as a whole: see DestroyUser. It needs
// a store.Lister or a store.ActivityIndex; otherwise ErrUnsupported.
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

// checkLimits returns an error if o asks for a limit that the store can't keep. The defaults ask
// for none.
func (o *Options) checkLimits(st store.Store) error {
	if o == nil {
		return nil
	}
	_, ofUser := st.(store.UserIndex)
	_, ofClient := st.(store.ClientIndex)
	_, ordered := st.(store.ClientOrder)
	var err error
	switch {
	case o.MaxSessionsPerUser > 0 && !ofUser:
		err = bad("MaxSessionsPerUser", "the store can't find a user's sessions: it is no store.UserIndex")
	case o.MaxSessionsPerClient > 0 && !ofClient && !ordered:
		err = bad("MaxSessionsPerClient", "the store can't find a client's sessions: "+
			"it is neither a store.ClientOrder nor a store.ClientIndex")
	default:
		return nil
	}
	return fmt.Errorf("%w: %w", err, ErrUnsupported)
}

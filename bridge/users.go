package bridge

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/activity"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/store"
)

// Filter selects the sessions that match every field that isn't zero. The zero Filter selects all.
type Filter struct {
	SessionID, UserID, ClientID string
	ActiveWithin                time.Duration // active during this time before now, as exact as Bridge.Activity
}

// Info describes a session to its user or to an administrator. It contains no values, and nothing
// that opens the session.
type Info struct {
	ID, ClientID, UserID   string // the ID is that of GetByID, DestroyByID and the like
	Addr, UserAgent        string // of the client when the session was created or last logged in
	Created, Seen, Expires time.Time
	Idle, Lifetime         time.Duration // 0: no limit; a lifetime counts from Created and again from each login
	ReadsHere              uint64        // loads by this process for requests and WithSession, since it saw the session
	Writes                 uint64        // how often it was stored, by any process
	Revision               uint64        // grows with each change; activity alone doesn't change it; 0: not stored yet
	Bytes                  int           // size of its encoded values
	Conns                  int           // its open connections and links in this process
}

// Sessions yields the sessions that the filter selects, the last active first, without expired
// ones. It reads only as far as the loop goes: leave the loop at the end of a page. The loop may
// call the Bridge, and may end the session that it gets. It may or may not see changes that are
// made meanwhile. An error is the last item. With an ActiveWithin up to Options.TouchInterval,
// other nodes are asked for activity that isn't recorded yet (ErrNodeSilent, the last item): Seen
// includes it, and the order is exact to within TouchInterval.
//
// The cost is in proportion to the sessions under the best index of the store: store.UserIndex for
// a user's, store.ClientIndex for a client's, otherwise store.ActivityIndex. A store.Lister without
// these is read as a whole, into memory. With a SessionID it is one read, with any store.
// ErrUnsupported, which names them, if the store is none of them; ErrStoreUnavailable, and the
// cause of ctx's end.
func (b *Bridge) Sessions(ctx context.Context, f Filter) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if f.ActiveWithin < 0 {
			yield(Info{}, fmt.Errorf("bridge: Filter.ActiveWithin: %v is negative", f.ActiveWithin))
			return
		}
		for rec, err := range b.activity.Sessions(ctx, activity.Filter(f)) {
			var info Info
			if err == nil {
				info = b.info(&rec)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Info describes the session as it is stored now, and is no activity of its user.
// ErrSessionMissing, ErrStoreUnavailable.
func (b *Bridge) Info(ctx context.Context, sessionID string) (Info, error) {
	rec, err := b.gateway.Load(ctx, sessionID)
	if err != nil {
		return Info{}, err
	}
	return b.info(&rec), nil
}

// Info describes the session as s was loaded or last stored, without the changes that aren't stored
// yet. In a function of WithSession it is the state that the function has read, so a comparison of
// its Revision with an earlier one is a compare-and-set: the function runs again if another writer
// has changed the session before its changes are stored.
func (s *Session) Info() Info {
	rec := s.record()
	return s.b.info(&rec)
}

func (b *Bridge) info(rec *store.Record) Info {
	return Info{
		ID: rec.ID, ClientID: rec.ClientID, UserID: rec.UserID, Addr: rec.Addr, UserAgent: rec.UserAgent,
		Created: rec.Created, Seen: rec.Seen, Expires: rec.Expires, Idle: rec.Idle, Lifetime: rec.Lifetime,
		ReadsHere: b.clients.Reads(rec.ID), Writes: rec.Writes, Revision: rec.Revision,
		Bytes: len(rec.Data), Conns: b.links.CountOfSession(rec.ID),
	}
}

// Activity is the result of Bridge.Activity.
type Activity struct {
	Users    int // different users who were active
	Sessions int // sessions that were active and haven't ended or expired since
	Conns    int // connections and links that are open now on those sessions, on every node
}

// Activity counts the users and sessions that were active within that time before now. A session is
// active when a request or a message uses it. A time up to Options.TouchInterval is exact, as far
// as the nodes remember their sessions (Options.MaxKnownSessions): what isn't recorded yet counts.
// A longer one is exact to within TouchInterval.
//
// With a store.ActiveLister or a store.ActivityIndex the cost is in proportion to the active
// sessions; a store.Lister is read as a whole. Every node is asked for its connections. An error if
// within isn't more than 0; ErrUnsupported, ErrStoreUnavailable, the cause of ctx's end;
// ErrNodeSilent beside the counts of the nodes that have answered.
func (b *Bridge) Activity(ctx context.Context, within time.Duration) (Activity, error) {
	if within <= 0 {
		return Activity{}, fmt.Errorf("bridge: Activity within %v: it must be more than 0", within)
	}
	totals, err := b.activity.Count(ctx, within)
	return Activity(totals), err
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
	if err := logins.CheckUserID(userID); err != nil {
		return 0, err
	}
	return b.logins.DestroyUser(ctx, b.gateway, userID, except, &origin{via: ViaAPI, end: &end{reason: ReasonDestroyed}})
}

// DestroyAll ends every session and returns how many it has ended. A concurrently created session
// is either ended with the others or comes after the call as a whole: see DestroyUser. It needs a
// store.Lister or a store.ActivityIndex; otherwise ErrUnsupported.
func (b *Bridge) DestroyAll(ctx context.Context) (int, error) {
	return b.logins.DestroyAll(ctx, b.gateway, &origin{via: ViaAPI, end: &end{reason: ReasonDestroyed}})
}

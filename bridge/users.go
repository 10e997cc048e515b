package bridge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// maxUserID is how long a user ID may be, in bytes.
const maxUserID = 255

// validUserID costs no more than a look at each byte, whatever they are.
func validUserID(id string) bool {
	return id != "" && len(id) <= maxUserID && utf8.ValidString(id) && strings.IndexByte(id, 0) < 0
}

// Filter says which sessions are meant: those that match every field that isn't zero. The zero Filter means all.
type Filter struct {
	UserID, ClientID string
	ActiveWithin     time.Duration // active during this time before now, to within Options.TouchInterval
}

// Info is what may be told of a session, to its user or to an administrator: nothing of it opens the session. It holds no values.
type Info struct {
	ID, ClientID, UserID   string // the ID is the one that GetByID, DestroyByID and the like take
	Addr, UserAgent        string // of the client when the session was created or last logged in
	Created, Seen, Expires time.Time
	Idle, Lifetime         time.Duration // 0: no limit
	Reads                  uint64        // how often this process has loaded it for a request or a WithSession, since it first saw it
	Writes                 uint64        // how often it was stored, by whichever process
	Bytes                  int           // size of its encoded values
	Conns                  int           // its open connections and links in this process
}

// Sessions yields the sessions that the filter means, the last active first; expired ones are none. It goes on as far as the loop does, and the loop
// may call the Bridge, also to end what it is shown: a list is paged by leaving it. What changes meanwhile may be shown as before or as after. After
// an error nothing more is yielded.
//
// It costs in proportion to what the best index of the store leads to: store.UserIndex for a user's, store.ClientIndex for a client's, otherwise
// store.ActivityIndex. A store that is only a store.Lister is read as a whole, and the list kept in memory. ErrUnsupported, which names them, when there is none;
// ErrStoreUnavailable.
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
		all, sorted := b.find(ctx, &f, since)
		if all == nil {
			yield(Info{}, fmt.Errorf("%w: the store can't list sessions: it is neither a store.ActivityIndex nor a store.Lister", ErrUnsupported))
			return
		}
		if !sorted {
			all = newestFirst(all, func(rec *store.Record) bool { return f.means(rec, since, now) })
		}
		for rec, err := range all {
			switch {
			case err != nil:
				yield(Info{}, storeFailure(ctx, "list the sessions", err))
				return
			case rec.Seen.Before(since): // and so were all that follow, when the list began
				return
			case f.means(&rec, since, now) && !yield(b.info(&rec), nil):
				return
			}
		}
	}
}

// means reports whether the session is one of those.
func (f *Filter) means(rec *store.Record, since, now time.Time) bool {
	return (f.UserID == "" || rec.UserID == f.UserID) && (f.ClientID == "" || rec.ClientID == f.ClientID) &&
		!rec.Seen.Before(since) && !rec.Expired(now)
}

// find returns the fewest records among which those are that the filter means, as far as the store can tell; nil: it can't.
func (b *Bridge) find(ctx context.Context, f *Filter, since time.Time) (all iter.Seq2[store.Record, error], sorted bool) {
	switch {
	case f.UserID != "" && b.caps.users != nil:
		return b.caps.users.ByUser(ctx, f.UserID), true
	case f.ClientID != "" && b.caps.clients != nil:
		return b.caps.clients.ByClient(ctx, f.ClientID), true
	case b.caps.activity != nil:
		return b.caps.activity.ActiveSince(ctx, since), true
	case b.caps.lister != nil:
		return b.caps.lister.List(ctx), false
	}
	return nil, false
}

// newestFirst collects what is asked for, and sorts it.
func newestFirst(all iter.Seq2[store.Record, error], is func(*store.Record) bool) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		var some []store.Record
		for rec, err := range all {
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if is(&rec) {
				some = append(some, rec)
			}
		}
		slices.SortFunc(some, func(a, b store.Record) int { return b.Seen.Compare(a.Seen) })
		for _, rec := range some {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (b *Bridge) info(rec *store.Record) Info {
	return Info{
		ID: rec.ID, ClientID: rec.ClientID, UserID: rec.UserID, Addr: rec.Addr, UserAgent: rec.UserAgent,
		Created: rec.Created, Seen: rec.Seen, Expires: rec.Expires, Idle: rec.Idle, Lifetime: rec.Lifetime,
		Reads: b.clients.Reads(rec.ID), Writes: rec.Writes, Bytes: len(rec.Data), Conns: b.links.CountOfSession(rec.ID),
	}
}

// Activity is how much is going on.
type Activity struct {
	Users    int // different users that were active; nobody is none of them
	Sessions int // sessions that were active and haven't ended or expired since
	Conns    int // connections and links that are open now on those sessions, on every node
}

// Activity counts what was active within that time before now, to within Options.TouchInterval. A session is active when a request or a message uses it.
//
// It costs in proportion to the sessions that were active, with a store that is a store.ActiveLister or a store.ActivityIndex. A store that is only a
// store.Lister is read as a whole. With other nodes on the store each tells of its connections. ErrUnsupported, ErrStoreUnavailable; an error for a time that isn't more than 0; ErrNodeSilent
// beside what the others have said.
func (b *Bridge) Activity(ctx context.Context, within time.Duration) (Activity, error) {
	if within <= 0 {
		return Activity{}, fmt.Errorf("bridge: Activity within %v: it must be more than 0", within)
	}
	now := gateway.Now()
	all, err := b.active(ctx, now.Add(-within), now)
	if err != nil {
		return Activity{}, err
	}
	elsewhere, silent := b.cluster.counts(ctx)
	if silent != nil && !errors.Is(silent, ErrNodeSilent) {
		return Activity{}, silent
	}
	var a Activity
	var users []string
	for active, err := range all {
		if err != nil {
			return Activity{}, storeFailure(ctx, "list the active sessions", err)
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

// active returns what was active, by the best way that the store has.
func (b *Bridge) active(ctx context.Context, since, now time.Time) (iter.Seq2[store.Active, error], error) {
	if b.caps.active != nil {
		return b.caps.active.ListActive(ctx, since, now), nil
	}
	all, _ := b.find(ctx, &Filter{}, since)
	if all == nil {
		return nil, fmt.Errorf("%w: the store can't list sessions: it is no store.ActiveLister, store.ActivityIndex or store.Lister", ErrUnsupported)
	}
	return func(yield func(store.Active, error) bool) {
		for rec, err := range all {
			if err == nil && (rec.Seen.Before(since) || rec.Expired(now)) {
				continue
			}
			if !yield(store.Active{ID: rec.ID, UserID: rec.UserID}, err) {
				return
			}
		}
	}, nil
}

// everySession yields every record, in any order.
func (b *Bridge) everySession(ctx context.Context) (iter.Seq2[store.Record, error], error) {
	switch {
	case b.caps.lister != nil:
		return b.caps.lister.List(ctx), nil
	case b.caps.activity != nil:
		return b.caps.activity.ActiveSince(ctx, time.Time{}), nil
	}
	return nil, fmt.Errorf("%w: the store can't list sessions: it is neither a store.Lister nor a store.ActivityIndex", ErrUnsupported)
}

// storeFailure is what a listing's error means. The caller's own cancellation is no failure of the store, and comes back as itself.
func storeFailure(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); !errors.Is(err, cause) {
			err = cause
		}
		return fmt.Errorf("bridge: %s: %w", doing, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrStoreUnavailable, doing, err)
}

package bridge

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
		meant := func(rec *store.Record) bool { return f.means(rec, since, now) }
		all, err := b.gateway.Newest(ctx, gateway.Query{UserID: f.UserID, ClientID: f.ClientID, Since: since}, meant)
		if err != nil {
			yield(Info{}, err)
			return
		}
		for rec, err := range all {
			switch {
			case err != nil:
				yield(Info{}, storeFailure(ctx, "list the sessions", err))
				return
			case rec.Seen.Before(since): // and so were all that follow, when the list began
				return
			case meant(&rec) && !yield(b.info(&rec), nil):
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

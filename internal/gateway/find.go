package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Finder finds sessions by the cheapest capability that a store has. Each method has its order of
// preference in one place, for every caller. All records are checked: see CheckRecord. Records past
// their time are found as well. An iteration ends after an error.
type Finder struct {
	users    store.UserIndex // nil: the store isn't one
	clients  store.ClientIndex
	order    store.ClientOrder
	activity store.ActivityIndex
	active   store.ActiveLister
	lister   store.Lister
}

func newFinder(st store.Store) (f Finder) {
	f.users, _ = store.As[store.UserIndex](st)
	f.clients, _ = store.As[store.ClientIndex](st)
	f.order, _ = store.As[store.ClientOrder](st)
	f.activity, _ = store.As[store.ActivityIndex](st)
	f.active, _ = store.As[store.ActiveLister](st)
	f.lister, _ = store.As[store.Lister](st)
	return f
}

// CanList reports whether Finder.Active works with the store.
func CanList(st store.Store) bool {
	f := newFinder(st)
	return f.active != nil || f.activity != nil || f.lister != nil
}

// ByUser yields the user's sessions. With a store.UserIndex the cost is in proportion to them;
// otherwise it looks through All. An error matches errors.ErrUnsupported.
func (f *Finder) ByUser(ctx context.Context, userID string) (iter.Seq2[store.Record, error], error) {
	if f.users != nil {
		return checked(f.users.ByUser(ctx, userID), checkUser(userID)), nil
	}
	all, err := f.All(ctx)
	if err != nil {
		return nil, unsupported(
			"the store can't find a user's sessions: it is no store.UserIndex, store.Lister or store.ActivityIndex",
		)
	}
	return filter(all, func(rec *store.Record) bool { return rec.UserID == userID }), nil
}

// All yields every session, in no particular order, with a store.Lister or a store.ActivityIndex.
// An error matches errors.ErrUnsupported.
func (f *Finder) All(ctx context.Context) (iter.Seq2[store.Record, error], error) {
	switch {
	case f.lister != nil:
		return checked(f.lister.List(ctx), anyRecord), nil
	case f.activity != nil:
		return checked(f.activity.ActiveSince(ctx, time.Time{}), anyRecord), nil
	}
	return nil, unsupported("the store can't list sessions: it is neither a store.Lister nor a store.ActivityIndex")
}

// Query selects sessions for Newest. A zero field excludes none.
type Query struct {
	UserID, ClientID string
	Since            time.Time // of the last activity
}

// Newest yields all sessions that match the query, and perhaps others, the last seen first: those
// of the user with a store.UserIndex, those of the client with a store.ClientIndex, those that were
// active with a store.ActivityIndex. With a store.Lister it reads all, and sorts in memory those
// that keep accepts. An error matches errors.ErrUnsupported.
func (f *Finder) Newest(
	ctx context.Context,
	q Query,
	keep func(*store.Record) bool,
) (iter.Seq2[store.Record, error], error) {
	switch {
	case q.UserID != "" && f.users != nil:
		return checked(f.users.ByUser(ctx, q.UserID), checkUser(q.UserID)), nil
	case q.ClientID != "" && f.clients != nil:
		return checked(f.clients.ByClient(ctx, q.ClientID), checkClient(q.ClientID)), nil
	case f.activity != nil:
		return checked(f.activity.ActiveSince(ctx, q.Since), anyRecord), nil
	case f.lister != nil:
		return newestFirst(filter(checked(f.lister.List(ctx), anyRecord), keep)), nil
	}
	return nil, unsupported("the store can't list sessions: it is neither a store.ActivityIndex nor a store.Lister")
}

// Active yields the ID and user of the sessions that were active at or after since and haven't
// expired at now, in no particular order, with a store.ActiveLister, a store.ActivityIndex or a
// store.Lister. An error matches errors.ErrUnsupported.
func (f *Finder) Active(ctx context.Context, since, now time.Time) (iter.Seq2[store.Active, error], error) {
	var all iter.Seq2[store.Record, error]
	switch {
	case f.active != nil:
		return checkedActive(f.active.ListActive(ctx, since, now)), nil
	case f.activity != nil:
		all = checked(f.activity.ActiveSince(ctx, since), anyRecord)
	case f.lister != nil:
		all = checked(f.lister.List(ctx), anyRecord)
	default:
		return nil, unsupported(
			"the store can't list sessions: it is no store.ActiveLister, store.ActivityIndex or store.Lister",
		)
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

// FindsClients reports whether the store can find a client's sessions.
func (f *Finder) FindsClients() bool { return f.order != nil || f.clients != nil }

// listAtMost is how many of a client's sessions are looked through if the store is only a
// store.ClientIndex.
const listAtMost = 64

// newestOfClient returns the client's session that began last, with a store.ClientOrder one past
// its time, too. found is false if there is none.
func (f *Finder) newestOfClient(ctx context.Context, clientID string) (newest store.Record, found bool, err error) {
	if f.order == nil {
		return f.newestListed(ctx, clientID)
	}
	recs, err := f.order.NewestByClient(ctx, clientID, 1)
	switch {
	case err != nil:
	case len(recs) == 0:
		return newest, false, nil
	case len(recs) > 1:
		err = errTooManyAtOne
	case recs[0].ID == "":
		err = errNoRecord
	default:
		err = checkClient(clientID)(&recs[0])
	}
	if err != nil {
		return newest, false, err
	}
	return recs[0], true, nil
}

// newestListed is newestOfClient with a store.ClientIndex: of those that were seen last.
func (f *Finder) newestListed(ctx context.Context, clientID string) (newest store.Record, found bool, err error) {
	n := 0
	for rec, err := range checked(f.clients.ByClient(ctx, clientID), checkClient(clientID)) {
		if err != nil {
			return store.Record{}, false, err
		}
		if !rec.Expired(Now()) && (!found || rec.Began().After(newest.Began())) {
			newest, found = rec, true
		}
		if n++; n == listAtMost {
			break
		}
	}
	return newest, found, nil
}

// surplusOfClient returns the IDs of the client's sessions without a user, except the keep of them
// that began last: up to n, the oldest first.
func (f *Finder) surplusOfClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	switch {
	case f.order != nil:
		ids, err := f.order.SurplusByClient(ctx, clientID, keep, n)
		switch {
		case err != nil:
		case slices.Contains(ids, ""):
			err = errNoRecord
		case len(ids) > n:
			err = errTooManyAtOne
		}
		return ids, err
	case f.clients != nil:
		return f.surplusListed(ctx, clientID, keep, n)
	}
	return nil, nil
}

// surplusListed is surplusOfClient with a store.ClientIndex: except those that were seen last.
func (f *Finder) surplusListed(ctx context.Context, clientID string, keep, n int) (ids []string, err error) {
	looked, most := 0, keep+listAtMost
	for rec, err := range checked(f.clients.ByClient(ctx, clientID), checkClient(clientID)) {
		if err != nil {
			return nil, err
		}
		if rec.UserID == "" {
			if keep--; keep < 0 {
				ids = append(ids, rec.ID)
			}
		}
		if looked++; looked == most {
			break
		}
	}
	slices.Reverse(ids)
	return ids[:min(n, len(ids))], nil
}

// filter yields the records that keep accepts.
func filter(all iter.Seq2[store.Record, error], keep func(*store.Record) bool) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range all {
			if err == nil && !keep(&rec) {
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// newestFirst collects the records, and yields those seen last first.
func newestFirst(all iter.Seq2[store.Record, error]) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		var some []store.Record
		for rec, err := range all {
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			some = append(some, rec)
		}
		slices.SortFunc(some, func(a, b store.Record) int { return b.Seen.Compare(a.Seen) })
		for _, rec := range some {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func unsupported(what string) error { return fmt.Errorf("%w: %s", errors.ErrUnsupported, what) }

package gateway

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// A store whose replies get mixed up (a connection that is one reply behind, a proxy, a cache)
// would hand one user's session to another. So each record that comes in is compared with what was
// asked for, here and nowhere else. A mismatch is a failure of the store: it says nothing about the
// session.
var (
	errNoRecord     = errors.New("the store has answered with a record that has no ID")
	errOtherRecord  = errors.New("the store has answered with the record of another session")
	errOtherUser    = errors.New("the store has answered with a session of another user")
	errOtherClient  = errors.New("the store has answered with a session of another client")
	errNotExpired   = errors.New("the store has removed a session as expired that isn't")
	errOldRevision  = errors.New("the store has answered with a revision that isn't greater than the one before")
	errTooManyAtOne = errors.New("the store has answered with more records than it was asked for")
)

// CheckRecord returns an error unless rec is what a store may answer when it is asked for the ID.
func CheckRecord(rec *store.Record, id string) error {
	switch rec.ID {
	case "":
		return errNoRecord
	case id:
		return nil
	}
	return errOtherRecord
}

// read is the store's Get, checked.
func (g *Gateway) read(ctx context.Context, id string) (store.Record, error) {
	rec, err := g.store.Get(ctx, id)
	if err == nil {
		err = CheckRecord(&rec, id)
	}
	if err != nil {
		return store.Record{}, err
	}
	return rec, nil
}

// write is the store's Set, checked.
func (g *Gateway) write(ctx context.Context, rec store.Record) (uint64, error) {
	revision, err := g.store.Set(ctx, rec)
	if err == nil && revision <= rec.Revision {
		err = errOldRevision
	}
	return revision, err
}

// checkSwept returns an error unless rec is what a sweep at that time may return.
func checkSwept(rec *store.Record, now time.Time) error {
	switch {
	case rec.ID == "":
		return errNoRecord
	case !rec.Expired(now):
		return errNotExpired
	}
	return nil
}

func checkUser(userID string) func(*store.Record) error {
	return func(rec *store.Record) error {
		if rec.UserID != userID {
			return errOtherUser
		}
		return nil
	}
}

func checkClient(clientID string) func(*store.Record) error {
	return func(rec *store.Record) error {
		if rec.ClientID != clientID {
			return errOtherClient
		}
		return nil
	}
}

func anyRecord(*store.Record) error { return nil }

// checked yields the records up to the first that has no ID or isn't what was asked for, and an
// error instead of that.
func checked(all iter.Seq2[store.Record, error], is func(*store.Record) error) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range all {
			if err == nil && rec.ID == "" {
				err = errNoRecord
			}
			if err == nil {
				err = is(&rec)
			}
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// Lister returns the store as a store.Lister whose records are checked, nil if it isn't one. So do
// the others for their capability.
func Lister(st store.Store) store.Lister {
	if l, ok := st.(store.Lister); ok {
		return checkedLister{l}
	}
	return nil
}

type checkedLister struct{ store.Lister }

func (l checkedLister) List(ctx context.Context) iter.Seq2[store.Record, error] {
	return checked(l.Lister.List(ctx), anyRecord)
}

// UserIndex is for store.UserIndex.
func UserIndex(st store.Store) store.UserIndex {
	if x, ok := st.(store.UserIndex); ok {
		return checkedUsers{x}
	}
	return nil
}

type checkedUsers struct{ store.UserIndex }

func (x checkedUsers) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	return checked(x.UserIndex.ByUser(ctx, userID), checkUser(userID))
}

// ClientIndex is for store.ClientIndex.
func ClientIndex(st store.Store) store.ClientIndex {
	if x, ok := st.(store.ClientIndex); ok {
		return checkedClients{x}
	}
	return nil
}

type checkedClients struct{ store.ClientIndex }

func (x checkedClients) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	return checked(x.ClientIndex.ByClient(ctx, clientID), checkClient(clientID))
}

// ActivityIndex is for store.ActivityIndex.
func ActivityIndex(st store.Store) store.ActivityIndex {
	if x, ok := st.(store.ActivityIndex); ok {
		return checkedActivity{x}
	}
	return nil
}

type checkedActivity struct{ store.ActivityIndex }

func (x checkedActivity) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	return checked(x.ActivityIndex.ActiveSince(ctx, since), anyRecord)
}

// ActiveLister is for store.ActiveLister.
func ActiveLister(st store.Store) store.ActiveLister {
	if l, ok := st.(store.ActiveLister); ok {
		return checkedActive{l}
	}
	return nil
}

type checkedActive struct{ store.ActiveLister }

func (l checkedActive) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		for active, err := range l.ActiveLister.ListActive(ctx, since, now) {
			if err == nil && active.ID == "" {
				active, err = store.Active{}, errNoRecord
			}
			if !yield(active, err) || err != nil {
				return
			}
		}
	}
}

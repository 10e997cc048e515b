package gateway

import (
	"errors"
	"iter"

	"github.com/sessionbridge/sessionbridge/store"
)

// A store that mixes up its replies (a connection that is one reply behind, a proxy, a cache) would
// give one user's session to another. So each record from the store is compared with the request,
// here and nowhere else. A mismatch is a failure of the store, not the end of the session.
var (
	errNoRecord     = errors.New("the store has answered with a record that has no ID")
	errOtherRecord  = errors.New("the store has answered with the record of another session")
	errOtherUser    = errors.New("the store has answered with a session of another user")
	errOtherClient  = errors.New("the store has answered with a session of another client")
	errNotExpired   = errors.New("the store has removed a session as expired that isn't")
	errOldRevision  = errors.New("the store has answered with a revision that isn't greater than the one before")
	errTooManyAtOne = errors.New("the store has answered with more records than it was asked for")
)

// CheckRecord returns an error unless rec is a valid reply to a request for the ID.
func CheckRecord(rec *store.Record, id string) error {
	switch rec.ID {
	case "":
		return errNoRecord
	case id:
		return nil
	}
	return errOtherRecord
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

// checked yields the records up to the first that has no ID, or for which is returns an error. It
// yields an error instead of that one.
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

// checkedActive is checked for a store.ActiveLister.
func checkedActive(all iter.Seq2[store.Active, error]) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		for active, err := range all {
			if err == nil && active.ID == "" {
				active, err = store.Active{}, errNoRecord
			}
			if !yield(active, err) || err != nil {
				return
			}
		}
	}
}

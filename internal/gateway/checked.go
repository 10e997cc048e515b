package gateway

import (
	"errors"
	"iter"

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

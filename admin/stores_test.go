package admin_test

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// bare is a store without capabilities.
type bare struct{ store.Store }

// breaking is a store whose lists fail.
type breaking struct {
	*livestore.Store
	after int // records; 0: never
}

func (b *breaking) ActiveSince(ctx context.Context, since time.Time) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		n := 0
		for rec, err := range b.Store.ActiveSince(ctx, since) {
			if n++; b.after > 0 && n > b.after {
				yield(store.Record{}, errors.New("broken"))
				return
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// refusing returns options with which the application refuses a key and a user.
func refusing() *bridge.Options {
	return &bridge.Options{BeforeCommit: func(_ context.Context, s *bridge.Session) error {
		if _, bad := s.Get("bad"); bad || s.UserID() == "refused" {
			return testkit.ErrApp
		}
		return nil
	}}
}

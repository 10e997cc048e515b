package observed

import (
	"context"
	"iter"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// records is an iteration over records.
type records = iter.Seq2[store.Record, error]

// The capabilities that yield records, or a part of them.
type (
	lister struct {
		*Store
		of store.Lister
	}
	userIndex struct {
		*Store
		of store.UserIndex
	}
	clientIndex struct {
		*Store
		of store.ClientIndex
	}
	clientOrder struct {
		*Store
		of store.ClientOrder
	}
	activityIndex struct {
		*Store
		of store.ActivityIndex
	}
	activeLister struct {
		*Store
		of store.ActiveLister
	}
)

func (s lister) List(ctx context.Context) records { return each(ctx, s.Store, "list", s.of.List) }

func (s userIndex) ByUser(ctx context.Context, userID string) records {
	return each(ctx, s.Store, "by_user", func(ctx context.Context) records { return s.of.ByUser(ctx, userID) })
}

func (s clientIndex) ByClient(ctx context.Context, clientID string) records {
	return each(ctx, s.Store, "by_client", func(ctx context.Context) records { return s.of.ByClient(ctx, clientID) })
}

func (s activityIndex) ActiveSince(ctx context.Context, since time.Time) records {
	return each(ctx, s.Store, "active_since", func(ctx context.Context) records {
		return s.of.ActiveSince(ctx, since)
	})
}

func (s activeLister) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return each(ctx, s.Store, "list_active", func(ctx context.Context) iter.Seq2[store.Active, error] {
		return s.of.ListActive(ctx, since, now)
	})
}

func (s clientOrder) NewestByClient(ctx context.Context, clientID string, n int) ([]store.Record, error) {
	return call(ctx, s.Store, "newest_by_client", func(ctx context.Context) ([]store.Record, error) {
		return s.of.NewestByClient(ctx, clientID, n)
	})
}

func (s clientOrder) SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	return call(ctx, s.Store, "surplus_by_client", func(ctx context.Context) ([]string, error) {
		return s.of.SurplusByClient(ctx, clientID, keep, n)
	})
}

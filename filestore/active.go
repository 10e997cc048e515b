package filestore

import (
	"context"
	"errors"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// ListActive implements store.ActiveLister. It takes some 50 bytes of memory for each session that it finds.
func (s *Store) ListActive(ctx context.Context, since, now time.Time) iter.Seq2[store.Active, error] {
	return func(yield func(store.Active, error) bool) {
		fail := func(err error) { yield(store.Active{}, err) }
		if err := s.ready(ctx); err != nil {
			fail(err)
			return
		}
		a := activity{store: s, since: since.UnixMicro()}
		if err := a.collect(); err != nil {
			fail(err)
			return
		}
		for {
			moments, err := a.next(ctx)
			if err != nil {
				fail(err)
				return
			}
			if moments == nil {
				return
			}
			for _, m := range moments {
				active, err := s.activeAt(ctx, m.key, now.UnixMicro())
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					fail(err)
					return
				}
				if !yield(active, nil) {
					return
				}
			}
		}
	}
}

// activeAt returns whose the session is. ErrNotFound when it has expired, or is gone.
func (s *Store) activeAt(ctx context.Context, key string, now int64) (active store.Active, err error) {
	if err := s.ready(ctx); err != nil {
		return active, err
	}
	if active.ID, err = decodeID([]byte(key)); err != nil {
		return active, err
	}
	found := false
	take := func(v value) {
		if found = v != nil && v.expiry() > now; found {
			user, _ := v.owner()
			active.UserID = string(user)
		}
	}
	if v := s.space.newer([]byte(key)); v != nil {
		take(v.value)
	} else {
		err = s.engine.home.view(func(tx *bolt.Tx) error {
			stored, err := s.space.stored(tx, []byte(key))
			if stored != nil {
				take(stored.value())
			}
			return err
		})
	}
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return active, err
}

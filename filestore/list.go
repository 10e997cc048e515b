package filestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// listPiece is the number of entries that are read with one transaction.
const listPiece = 500

// List implements store.Lister.
func (s *Store) List(ctx context.Context) iter.Seq2[store.Record, error] {
	return s.records(ctx, s.allKeys(ctx), func(*store.Record) bool { return true })
}

// ByUser implements store.UserIndex. The order is that at the beginning of the loop.
func (s *Store) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	prefix, owner := userPrefix(userID)
	more := func(o *overlay) []string { return o.users[string(owner)] }
	keys := s.newestFirst(ctx, func() ([]string, error) { return s.ownedKeys(s.space.buckets.users, prefix, more) })
	return s.records(ctx, keys, func(rec *store.Record) bool { return rec.UserID == userID })
}

// ByClient implements store.ClientIndex. The order is that at the beginning of the loop.
func (s *Store) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	keys := s.newestFirst(ctx, func() ([]string, error) { return s.clientKeys(clientID) })
	return s.records(ctx, keys, func(rec *store.Record) bool { return rec.ClientID == clientID })
}

// records yields the sessions with these keys that match.
func (s *Store) records(
	ctx context.Context, keys iter.Seq2[string, error], matches func(*store.Record) bool,
) iter.Seq2[store.Record, error] {
	return each(ctx, s, keys, func(key []byte, id string) (store.Record, error) {
		rec, err := s.get(key, id)
		if err == nil && !matches(&rec) {
			err = store.ErrNotFound
		}
		return rec, err
	})
}

// each yields what read returns for the sessions with these keys. It skips those for which read
// returns ErrNotFound, and ends after any other error.
func each[T any](
	ctx context.Context, s *Store, keys iter.Seq2[string, error], read func(key []byte, id string) (T, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for key, err := range keys {
			var found, none T
			var id string
			if err = cmp.Or(err, s.ready(ctx)); err == nil {
				id, err = decodeID([]byte(key))
			}
			if err == nil {
				found, err = read([]byte(key), id)
			}
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				yield(none, err)
				return
			case !yield(found, nil):
				return
			}
		}
	}
}

// allKeys yields the keys of all sessions.
func (s *Store) allKeys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		// A session that only an overlay has may move into the database behind the current key.
		rest := s.space.collect(func(o *overlay) []string { return o.created })
		for next := []byte{}; next != nil; {
			var keys []string
			err := s.ready(ctx)
			if err == nil {
				keys, next, err = s.storedKeys(next)
			}
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range keys {
				delete(rest, key)
				if !yield(key, nil) {
					return
				}
			}
		}
		for key := range rest {
			if !yield(key, nil) {
				return
			}
		}
	}
}

// storedKeys returns the keys of some sessions in the database, beginning with from, and the next
// key; nil: there are no more.
func (s *Store) storedKeys(from []byte) (keys []string, next []byte, err error) {
	err = s.engine.database.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(s.space.buckets.sessions)
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		k, _ := c.Seek(from)
		for ; k != nil && len(keys) < listPiece; k, _ = c.Next() {
			keys = append(keys, string(k))
		}
		next = bytes.Clone(k)
		return nil
	})
	return keys, next, err
}

// collect returns keys of the overlays, each once.
func (sp *space) collect(of func(o *overlay) []string) map[string]struct{} {
	keys := make(map[string]struct{})
	l := sp.layers.Load()
	for _, o := range l.all() {
		o.mu.Lock()
		for _, key := range of(o) {
			keys[key] = struct{}{}
		}
		o.mu.Unlock()
	}
	return keys
}

// ownedKeys returns the keys of the sessions that an index leads to, each once.
func (s *Store) ownedKeys(index, prefix []byte, more func(*overlay) []string) ([]string, error) {
	keys := s.space.collect(more) // first: sessions that leave the overlays are in the database then
	err := s.engine.database.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(index)
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			keys[string(k[len(prefix):])] = struct{}{}
		}
		return nil
	})
	return slices.Collect(maps.Keys(keys)), err
}

// clientKeys returns the keys of sessions that may be the client's.
func (s *Store) clientKeys(clientID string) ([]string, error) {
	prefix, owner := clientPrefix(clientID)
	more := func(o *overlay) []string { return o.clients[string(owner)] }
	return s.ownedKeys(s.space.buckets.clients, prefix, more)
}

// newestFirst yields the keys, that of the session that was seen last first.
func (s *Store) newestFirst(ctx context.Context, find func() ([]string, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		err := s.ready(ctx)
		if err == nil {
			keys, err = find()
		}
		var moments []moment
		if err == nil {
			moments, err = s.moments(ctx, keys)
		}
		if err != nil {
			yield("", err)
			return
		}
		sortNewestFirst(moments)
		for _, m := range moments {
			if !yield(m.key, nil) {
				return
			}
		}
	}
}

// moment is a time by which sessions are sorted: when one was seen, or began.
type moment struct {
	at  int64
	key string
}

func sortNewestFirst(moments []moment) {
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Compare(b.at, a.at) })
}

// moments returns when the sessions were seen.
func (s *Store) moments(ctx context.Context, keys []string) ([]moment, error) {
	moments := make([]moment, 0, len(keys))
	err := s.lookAll(ctx, keys, func(key string, v value) error {
		moments = append(moments, moment{v.seen(), key})
		return nil
	})
	return moments, err
}

// lookAll is look for many sessions, with a transaction for each piece of them. It skips sessions
// that are gone.
func (s *Store) lookAll(ctx context.Context, keys []string, fn func(key string, v value) error) error {
	for piece := range slices.Chunk(keys, listPiece) {
		if err := s.ready(ctx); err != nil {
			return err
		}
		var rest []string
		for _, key := range piece { // first: sessions that leave the overlays are in the database then
			switch v := s.space.newer([]byte(key)); {
			case v == nil:
				rest = append(rest, key)
			case v.value != nil:
				if err := fn(key, v.value); err != nil {
					return err
				}
			}
		}
		err := s.engine.database.view(func(tx *bolt.Tx) error {
			for _, key := range rest {
				stored, err := s.space.stored(tx, []byte(key))
				if err == nil && stored != nil {
					err = fn(key, stored.value())
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

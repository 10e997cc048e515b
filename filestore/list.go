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

// records yields the sessions with these keys, unless they are gone or don't match.
func (s *Store) records(
	ctx context.Context, keys iter.Seq2[string, error], matches func(*store.Record) bool,
) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for key, err := range keys {
			var rec store.Record
			if err == nil {
				rec, err = s.getKey(ctx, key)
			}
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				yield(store.Record{}, err)
				return
			case matches(&rec) && !yield(rec, nil):
				return
			}
		}
	}
}

func (s *Store) getKey(ctx context.Context, key string) (rec store.Record, err error) {
	if err = s.ready(ctx); err != nil {
		return rec, err
	}
	id, err := decodeID([]byte(key))
	if err != nil {
		return rec, err
	}
	return s.get([]byte(key), id)
}

// allKeys yields the keys of all sessions.
func (s *Store) allKeys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		// A session that only an overlay has may move into the database behind the current key.
		rest := s.space.collect(func(o *overlay) []string { return o.created })
		for next := []byte(nil); ; {
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
			if next == nil {
				break
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
		for k, _ := c.Seek(from); k != nil; k, _ = c.Next() {
			if len(keys) == listPiece {
				next = bytes.Clone(k)
				return nil
			}
			keys = append(keys, string(k))
		}
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
		moments := make([]moment, 0, len(keys))
		for i := 0; i < len(keys) && err == nil; i++ {
			moments, err = s.appendMoment(ctx, moments, keys[i])
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

// moment is when a session was seen.
type moment struct {
	seen int64
	key  string
}

func sortNewestFirst(moments []moment) {
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Compare(b.seen, a.seen) })
}

// appendMoment appends when the session was seen, unless it is gone.
func (s *Store) appendMoment(ctx context.Context, moments []moment, key string) ([]moment, error) {
	if err := s.ready(ctx); err != nil {
		return moments, err
	}
	err := s.look([]byte(key), func(v value) error {
		moments = append(moments, moment{v.seen(), key})
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return moments, err
}

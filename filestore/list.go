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

type (
	records = iter.Seq2[store.Record, error]
	yield   = func(store.Record, error) bool
)

// listPiece is the number of entries that are read with one transaction.
const listPiece = 500

// List implements store.Lister.
func (s *Store) List(ctx context.Context) records {
	return func(yield yield) {
		// A session that only an overlay has may move into the database behind the current key.
		rest := s.space.created()
		for key := []byte(nil); ; {
			keys, next, err := s.keys(ctx, key)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			for _, key := range keys {
				delete(rest, key)
				if !s.yield(ctx, key, anyRecord, yield) {
					return
				}
			}
			if key = next; key == nil {
				break
			}
		}
		for key := range rest {
			if !s.yield(ctx, key, anyRecord, yield) {
				return
			}
		}
	}
}

// keys returns the keys of some sessions in the database, beginning with from, and the next key;
// nil: there are no more.
func (s *Store) keys(ctx context.Context, from []byte) (keys []string, next []byte, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, nil, err
	}
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

// created returns the keys of the sessions that the database may not have.
func (sp *space) created() map[string]struct{} {
	return sp.collect(func(o *overlay) []string { return o.created })
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

func anyRecord(*store.Record) bool { return true }

// ByUser implements store.UserIndex. The order is that at the beginning of the loop.
func (s *Store) ByUser(ctx context.Context, userID string) records {
	prefix, owner := userPrefix(userID)
	is := func(rec *store.Record) bool { return rec.UserID == userID }
	return s.owned(ctx, s.space.buckets.users, prefix, is, func(o *overlay) []string { return o.users[string(owner)] })
}

// ByClient implements store.ClientIndex. The order is that at the beginning of the loop.
func (s *Store) ByClient(ctx context.Context, clientID string) records {
	prefix, owner := clientPrefix(clientID)
	is := func(rec *store.Record) bool { return rec.ClientID == clientID }
	return s.owned(ctx, s.space.buckets.clients, prefix, is, func(o *overlay) []string { return o.clients[string(owner)] })
}

// owned yields the matching sessions that an index leads to: that of the database, or an overlay's.
func (s *Store) owned(
	ctx context.Context, index, prefix []byte, is func(*store.Record) bool, more func(*overlay) []string,
) records {
	return func(yield yield) {
		if err := s.ready(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		keys, err := s.ownedKeys(index, prefix, more)
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		s.newestFirst(ctx, keys, is, yield)
	}
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

// newestFirst yields the matching sessions, the one that was seen last first.
func (s *Store) newestFirst(ctx context.Context, keys []string, is func(*store.Record) bool, yield yield) {
	moments := make([]moment, 0, len(keys))
	for _, key := range keys {
		seen, err := s.seen([]byte(key))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = s.ready(ctx)
		}
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		moments = append(moments, moment{seen, key})
	}
	sortNewestFirst(moments)
	for _, m := range moments {
		if !s.yield(ctx, m.key, is, yield) {
			return
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

// seen returns when the session was seen.
func (s *Store) seen(key []byte) (seen int64, err error) {
	err = s.look(key, func(v value) error {
		seen = v.seen()
		return nil
	})
	return seen, err
}

// yield passes the session to the caller, unless it is gone or no longer matches. It reports false
// at the end of the loop.
func (s *Store) yield(ctx context.Context, key string, is func(*store.Record) bool, yield yield) bool {
	rec, err := store.Record{}, s.ready(ctx)
	if err == nil {
		var id string
		if id, err = decodeID([]byte(key)); err == nil {
			rec, err = s.get([]byte(key), id)
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return true
	case err != nil:
		yield(store.Record{}, err)
		return false
	}
	return !is(&rec) || yield(rec, nil)
}

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
	return s.records(ctx, s.allKeys, func(*store.Record) bool { return true })
}

// ByUser implements store.UserIndex. The order is that at the beginning of the loop.
func (s *Store) ByUser(ctx context.Context, userID string) iter.Seq2[store.Record, error] {
	keys := s.newestFirst(ctx, func() ([]string, error) {
		return s.ownedKeys(s.space.buckets.users, userKey(nil, []byte(userID), nil),
			func(o *overlay) []string { return o.users[userID] })
	})
	return s.records(ctx, keys, func(rec *store.Record) bool { return rec.UserID == userID })
}

// ByClient implements store.ClientIndex. The order is that at the beginning of the loop.
func (s *Store) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	keys := s.newestFirst(ctx, func() ([]string, error) { return s.clientKeys(clientID) })
	return s.records(ctx, keys, func(rec *store.Record) bool { return rec.ClientID == clientID })
}

// NewestByClient implements store.ClientOrder. It takes about 2 µs for each session of the client.
func (s *Store) NewestByClient(ctx context.Context, clientID string, n int) (recs []store.Record, err error) {
	found, err := s.beginnings(ctx, clientID, false)
	if err != nil || n <= 0 {
		return nil, err
	}
	slices.Reverse(found)
	newest := onePiece(func() ([]string, error) { return keysOf(found), nil })
	for rec, err := range s.records(ctx, newest, func(rec *store.Record) bool { return rec.ClientID == clientID }) {
		if err != nil {
			return nil, err
		}
		if recs = append(recs, rec); len(recs) == n {
			break
		}
	}
	return recs, nil
}

// SurplusByClient implements store.ClientOrder. It takes about 2 µs for each session of the client.
func (s *Store) SurplusByClient(ctx context.Context, clientID string, keep, n int) ([]string, error) {
	found, err := s.beginnings(ctx, clientID, true)
	if err != nil {
		return nil, err
	}
	surplus := found[:min(max(len(found)-keep, 0), max(n, 0))]
	ids := make([]string, len(surplus))
	for i := range surplus {
		if ids[i], err = decodeID([]byte(surplus[i].key)); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// beginnings returns when the client's sessions began, the oldest first; with anonymous, only those
// without a user.
func (s *Store) beginnings(ctx context.Context, clientID string, anonymous bool) ([]moment, error) {
	if err := s.ready(ctx); err != nil || clientID == "" {
		return nil, err
	}
	keys, err := s.clientKeys(clientID)
	if err != nil {
		return nil, err
	}
	owner, isUUID := clientName(clientID)
	found := make([]moment, 0, len(keys))
	err = s.lookAll(ctx, keys, func(key string, v value) error {
		user, client := v.owner()
		if !bytes.Equal(client, owner) || v.uuidClient() != isUUID || anonymous && len(user) > 0 {
			return nil
		}
		at, err := v.began()
		found = append(found, moment{at, key})
		return err
	})
	slices.SortFunc(found, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) })
	return found, err
}

// pieces begins an iteration over keys. Its function returns the next of them; none: there are no
// more.
type pieces func() (next func() ([]string, error))

// onePiece is an iteration over the keys that find returns.
func onePiece(find func() ([]string, error)) pieces {
	return func() func() ([]string, error) {
		find := find
		return func() (keys []string, err error) {
			if find != nil {
				keys, err = find()
				find = nil
			}
			return keys, err
		}
	}
}

// records yields the sessions with these keys that match.
func (s *Store) records(
	ctx context.Context, keys pieces, matches func(*store.Record) bool,
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
	ctx context.Context, s *Store, begin pieces, read func(key []byte, id string) (T, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var found, none T
		var keys []string
		err := s.ready(ctx)
		for next := begin(); err == nil; {
			if keys, err = next(); err != nil || len(keys) == 0 {
				break
			}
			for _, key := range keys {
				var id string
				if err = s.ready(ctx); err == nil {
					id, err = decodeID([]byte(key))
				}
				if err == nil {
					found, err = read([]byte(key), id)
				}
				if err == nil && !yield(found, nil) {
					return
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					break
				}
				err = nil
			}
		}
		if err != nil {
			yield(none, err)
		}
	}
}

// allKeys iterates over the keys of all sessions.
func (s *Store) allKeys() func() ([]string, error) {
	// A session that only an overlay has may move into the database behind the current key.
	rest := s.space.collect(func(o *overlay) []string { return o.created })
	from := []byte{} // the next key in the database; nil: there are no more
	return func() (keys []string, err error) {
		if from != nil {
			if err = s.engine.database.view(func(tx *bolt.Tx) error {
				begin := from
				from = nil
				for k := range keysFrom(tx, s.space.buckets.sessions, begin) {
					if len(keys) == listPiece {
						from = bytes.Clone(k)
						break
					}
					keys = append(keys, string(k))
					delete(rest, string(k))
				}
				return nil
			}); err != nil || len(keys) > 0 {
				return keys, err
			}
		}
		keys, rest = slices.Collect(maps.Keys(rest)), nil
		return keys, nil
	}
}

// keysFrom yields the keys of a bucket, if it exists, from that one on.
func keysFrom(tx *bolt.Tx, bucket, from []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if b := tx.Bucket(bucket); b != nil {
			c := b.Cursor()
			for k, _ := c.Seek(from); k != nil && yield(k); k, _ = c.Next() {
			}
		}
	}
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
		for k := range keysFrom(tx, index, prefix) {
			if !bytes.HasPrefix(k, prefix) {
				break
			}
			keys[string(k[len(prefix):])] = struct{}{}
		}
		return nil
	})
	return slices.Collect(maps.Keys(keys)), err
}

// clientKeys returns the keys of sessions that may be the client's.
func (s *Store) clientKeys(clientID string) ([]string, error) {
	client, isUUID := clientName(clientID)
	return s.ownedKeys(s.space.buckets.clients, clientKey(nil, client, isUUID, nil),
		func(o *overlay) []string { return o.clients[string(client)] })
}

// newestFirst iterates over the keys that find returns, that of the session that was seen last
// first.
func (s *Store) newestFirst(ctx context.Context, find func() ([]string, error)) pieces {
	return onePiece(func() ([]string, error) {
		keys, err := find()
		if err != nil {
			return nil, err
		}
		moments, err := s.moments(ctx, keys)
		sortNewestFirst(moments)
		return keysOf(moments), err
	})
}

// moment is a time by which sessions are sorted: when one was seen, or began.
type moment struct {
	at  int64
	key string
}

func sortNewestFirst(moments []moment) {
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Compare(b.at, a.at) })
}

func keysOf(moments []moment) []string {
	keys := make([]string, len(moments))
	for i := range moments {
		keys[i] = moments[i].key
	}
	return keys
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

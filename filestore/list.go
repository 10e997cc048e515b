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
	keys := s.ownedBy(ctx, s.space.buckets.users, userKey(nil, []byte(userID), nil))
	return s.records(ctx, keys, func(rec *store.Record) bool { return rec.UserID == userID })
}

// ByClient implements store.ClientIndex. The order is that at the beginning of the loop.
func (s *Store) ByClient(ctx context.Context, clientID string) iter.Seq2[store.Record, error] {
	keys := s.ownedBy(ctx, s.space.buckets.clients, clientPrefix(clientID))
	return s.records(ctx, keys, func(rec *store.Record) bool { return rec.ClientID == clientID })
}

// NewestByClient implements store.ClientOrder. It takes about 2 µs for each session of the client.
func (s *Store) NewestByClient(ctx context.Context, clientID string, n int) (recs []store.Record, err error) {
	found, err := s.beginnings(ctx, clientID, false)
	if err != nil || n <= 0 {
		return nil, err
	}
	slices.Reverse(found)
	matches := func(rec *store.Record) bool { return rec.ClientID == clientID }
	for rec, err := range s.records(ctx, keysOf(found), matches) {
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
	prefix := clientPrefix(clientID)
	keys, err := s.ownedKeys(s.space.buckets.clients, prefix)
	if err != nil {
		return nil, err
	}
	var room [64]byte
	found, err := s.moments(ctx, keys, func(v value) (int64, error) {
		user, client := v.owner()
		of := clientKey(room[:0], client, v.uuidClient(), nil)
		if !bytes.Equal(of, prefix) || anonymous && len(user) > 0 {
			return 0, store.ErrNotFound
		}
		return v.began()
	})
	slices.SortFunc(found, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) })
	return found, err
}

// keys calls fn with keys of sessions. It ends at the first error, and returns it.
type keys func(fn func(key string) error) error

// records yields the sessions with these keys that match.
func (s *Store) records(
	ctx context.Context, keys keys, matches func(*store.Record) bool,
) iter.Seq2[store.Record, error] {
	return each(ctx, s, keys, func(key []byte, id string) (store.Record, error) {
		rec, err := s.get(key, id)
		if err == nil && !matches(&rec) {
			err = store.ErrNotFound
		}
		return rec, err
	})
}

var errStopped = errors.New("the caller has left its loop")

// each yields what read returns for the sessions with these keys. It skips those for which read
// returns ErrNotFound, and ends after any other error.
func each[T any](
	ctx context.Context, s *Store, keys keys, read func(key []byte, id string) (T, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := s.ready(ctx)
		if err == nil {
			err = keys(func(key string) error {
				if err := s.ready(ctx); err != nil {
					return err
				}
				id, err := decodeID([]byte(key))
				if err != nil {
					return err
				}
				found, err := read([]byte(key), id)
				switch {
				case errors.Is(err, store.ErrNotFound):
					return nil
				case err == nil && !yield(found, nil):
					return errStopped
				}
				return err
			})
		}
		if err != nil && !errors.Is(err, errStopped) {
			var none T
			yield(none, err)
		}
	}
}

// allKeys calls fn with the keys of all sessions.
func (s *Store) allKeys(fn func(key string) error) error {
	// A session that only an overlay has may move into the database behind the current key.
	rest := s.space.changes()
	for next := []byte{}; next != nil; {
		var piece []string
		err := s.engine.database.view(func(tx *bolt.Tx) error {
			from := next
			next = nil
			for k := range keysFrom(tx, s.space.buckets.sessions, from) {
				if len(piece) == listPiece {
					next = bytes.Clone(k)
					break
				}
				piece = append(piece, string(k))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range piece {
			delete(rest, key)
			if err := fn(key); err != nil {
				return err
			}
		}
	}
	for key := range rest {
		if err := fn(key); err != nil {
			return err
		}
	}
	return nil
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

// ownedKeys returns the keys of the sessions that may be those of a user or a client, each once.
func (s *Store) ownedKeys(index, prefix []byte) ([]string, error) {
	keys := make(map[string]struct{})
	for _, o := range s.space.overlays() { // first: sessions that leave the overlays are in the database then
		o.mu.Lock()
		for _, key := range o.owned[string(prefix)] {
			keys[key] = struct{}{}
		}
		o.mu.Unlock()
	}
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

// ownedBy is ownedKeys with that of the session that was seen last first.
func (s *Store) ownedBy(ctx context.Context, index, prefix []byte) keys {
	return func(fn func(key string) error) error {
		found, err := s.ownedKeys(index, prefix)
		if err != nil {
			return err
		}
		return s.newestFirst(ctx, found, fn)
	}
}

// newestFirst calls fn with the keys, that of the session that was seen last first.
func (s *Store) newestFirst(ctx context.Context, found []string, fn func(key string) error) error {
	moments, err := s.moments(ctx, found, func(v value) (int64, error) { return v.seen(), nil })
	if err != nil {
		return err
	}
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Compare(b.at, a.at) })
	return keysOf(moments)(fn)
}

func keysOf(moments []moment) keys {
	return func(fn func(key string) error) error {
		for i := range moments {
			if err := fn(moments[i].key); err != nil {
				return err
			}
		}
		return nil
	}
}

// moments returns the times of the sessions, which at reads. It leaves out those that are gone,
// or for which at returns ErrNotFound. It reads many of them with one transaction.
func (s *Store) moments(
	ctx context.Context, keys []string, at func(v value) (int64, error),
) ([]moment, error) {
	moments := make([]moment, 0, len(keys))
	newer := make([]*version, min(len(keys), listPiece))
	for piece := range slices.Chunk(keys, listPiece) {
		if err := s.ready(ctx); err != nil {
			return nil, err
		}
		for i, key := range piece { // first: sessions that leave the overlays are in the database then
			newer[i] = s.space.newer([]byte(key))
		}
		err := s.engine.database.view(func(tx *bolt.Tx) error {
			for i, key := range piece {
				m := moment{key: key}
				v, err := s.space.value(tx, newer[i], []byte(key))
				if err == nil {
					m.at, err = at(v)
				}
				if err == nil {
					moments = append(moments, m)
				} else if !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return moments, nil
}

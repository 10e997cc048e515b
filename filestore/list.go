package filestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

type (
	records = iter.Seq2[store.Record, error]
	yield   = func(store.Record, error) bool
)

// listPiece is how many entries are read with one transaction: while it lasts, pages that are freed can't be used again.
const listPiece = 500

// List implements store.Lister.
func (s *Store) List(ctx context.Context) records {
	return func(yield yield) {
		// A session that only an overlay has may go into the database behind the place where we are reading it then.
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

// keys returns the keys of some sessions in the database, from that one on, and where to go on; nil: these are the last.
func (s *Store) keys(ctx context.Context, from []byte) (keys []string, next []byte, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, nil, err
	}
	err = s.engine.home.view(func(tx *bolt.Tx) error {
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
	keys := make(map[string]struct{})
	l := sp.layers.Load()
	for _, o := range l.all() {
		o.mu.Lock()
		for _, key := range o.created {
			keys[key] = struct{}{}
		}
		o.mu.Unlock()
	}
	return keys
}

func anyRecord(*store.Record) bool { return true }

// ByUser implements store.UserIndex. The order is that of the moment at which the loop begins.
func (s *Store) ByUser(ctx context.Context, userID string) records {
	prefix, owner := userPrefix(userID)
	is := func(rec *store.Record) bool { return rec.UserID == userID }
	return s.owned(ctx, s.space.buckets.users, prefix, is, func(o *overlay) []string { return o.users[string(owner)] })
}

// ByClient implements store.ClientIndex. The order is that of the moment at which the loop begins.
func (s *Store) ByClient(ctx context.Context, clientID string) records {
	prefix, owner := clientPrefix(clientID)
	is := func(rec *store.Record) bool { return rec.ClientID == clientID }
	return s.owned(ctx, s.space.buckets.clients, prefix, is, func(o *overlay) []string { return o.clients[string(owner)] })
}

// owned yields the sessions that an index leads to, the database's or an overlay's, as far as they are what is asked for.
func (s *Store) owned(ctx context.Context, index, prefix []byte, is func(*store.Record) bool, more func(*overlay) []string) records {
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
	keys := make(map[string]struct{})
	l := s.space.layers.Load() // before the database: what leaves them is there by then
	for _, o := range l.all() {
		o.mu.Lock()
		for _, key := range more(o) {
			keys[key] = struct{}{}
		}
		o.mu.Unlock()
	}
	err := s.engine.home.view(func(tx *bolt.Tx) error {
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

// newestFirst yields those of the sessions that are what is asked for.
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
	v := s.space.newer(key)
	if v == nil {
		err = s.engine.home.view(func(tx *bolt.Tx) error {
			stored, err := s.space.stored(tx, key)
			if stored == nil {
				return cmp.Or(err, store.ErrNotFound)
			}
			seen = stored.value().seen()
			return nil
		})
		return seen, err
	}
	if v.value == nil {
		return 0, store.ErrNotFound
	}
	return v.value.seen(), nil
}

// yield gives the caller the session as it is now, unless it is gone or isn't what was asked for any more. It returns false when the loop
// is over.
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

// ActiveSince implements store.ActivityIndex. The order is that of the moment at which the loop begins. It takes some 50 bytes
// of memory for each session that it finds.
func (s *Store) ActiveSince(ctx context.Context, since time.Time) records {
	return func(yield yield) {
		if err := s.ready(ctx); err != nil {
			yield(store.Record{}, err)
			return
		}
		a := activity{store: s, since: since.UnixMicro()}
		if err := a.collect(); err != nil {
			yield(store.Record{}, err)
			return
		}
		is := func(rec *store.Record) bool { return !rec.Seen.Before(since) }
		for {
			moments, err := a.next(ctx)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if moments == nil {
				return
			}
			for _, m := range moments {
				if !s.yield(ctx, m.key, is, yield) {
					return
				}
			}
		}
	}
}

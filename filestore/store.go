package filestore

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// Store is an open store, or one of its Apps. It has every optional capability of package store, and is safe for concurrent use.
type Store struct {
	engine *engine
	space  *space
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Toucher       = (*Store)(nil)
	_ store.Sweeper       = (*Store)(nil)
	_ store.UserIndex     = (*Store)(nil)
	_ store.ClientIndex   = (*Store)(nil)
	_ store.ActivityIndex = (*Store)(nil)
	_ store.ActiveLister  = (*Store)(nil)
	_ store.Optimizer     = (*Store)(nil)
	_ store.Pinger        = (*Store)(nil)
	_ store.Namespacer    = (*Store)(nil)
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string) (store.Record, error) {
	if err := s.ready(ctx); err != nil {
		return store.Record{}, err
	}
	if len(id) > maxName {
		return store.Record{}, store.ErrNotFound
	}
	var room [64]byte
	return s.get(appendID(room[:0], id), id)
}

func (s *Store) get(key []byte, id string) (rec store.Record, err error) {
	if v := s.space.newer(key); v != nil {
		if v.value == nil {
			return store.Record{}, store.ErrNotFound
		}
		return v.value.record(id)
	}
	found := false
	err = s.engine.home.view(func(tx *bolt.Tx) error {
		stored, err := s.space.stored(tx, key)
		if stored != nil {
			found = true
			rec, err = stored.value().record(id)
		}
		return err
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return rec, err
}

// Set implements store.Store. A record that is too large gives an error that matches ErrTooLarge and names the field.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if err := s.check(&rec); err != nil {
		return 0, err
	}
	o := newOp(opSet, s.space, rec.ID)
	o.value, o.revision = makeValue(&rec), rec.Revision
	out := s.change(ctx, o)
	return out.revision, out.err
}

// Destroy implements store.Store.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	if len(id) > maxName {
		return false, nil
	}
	out := s.change(ctx, newOp(opDestroy, s.space, id))
	return out.existed, out.err
}

// change looks the session up, so that the committer needn't, and has the change made.
func (s *Store) change(ctx context.Context, o *op) outcome {
	err := s.engine.failed()
	if err == nil {
		o.known, err = s.engine.lookUp(s.space, o.key)
	}
	if err != nil {
		o.free()
		return outcome{err: err}
	}
	return s.engine.do(ctx, o)
}

func (s *Store) ready(ctx context.Context) error { return s.engine.ready(ctx) }

// maxName is how long an ID, a user ID or a client ID may be, in bytes: indexes have them in their keys.
const maxName = 8 << 10

// check returns an error if the record can't be stored.
func (s *Store) check(rec *store.Record) error {
	for _, f := range [...]struct {
		name string
		size int
	}{{"ID", len(rec.ID)}, {"UserID", len(rec.UserID)}, {"ClientID", len(rec.ClientID)}, {"name of the App", len(s.space.name)}} {
		if f.size > maxName {
			return fmt.Errorf("%w: the %s has %d bytes; the limit is %d", ErrTooLarge, f.name, f.size, maxName)
		}
	}
	rest := len(rec.ID) + len(rec.UserID) + len(rec.ClientID) + len(rec.Addr) + len(rec.UserAgent) + recordHead + len(s.space.name)
	if limit := s.engine.entryLimit() - rest; len(rec.Data) > limit {
		return fmt.Errorf("%w: the Data have %d bytes; the limit is %d, and grows with Options.LogSize", ErrTooLarge, len(rec.Data), max(limit, 0))
	}
	return nil
}

// recordHead is more than a record takes in the log beside its texts and its data.
const recordHead = 512

package filestore

import (
	"cmp"
	"context"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// Store is an open store, or one of its Apps. It has every optional capability of package store,
// and is safe for concurrent use.
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
	_ store.ClientOrder   = (*Store)(nil)
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
	err = s.look(key, func(v value) (err error) {
		rec, err = v.record(id)
		return err
	})
	return rec, err
}

// look calls fn with the current value of the session, which is valid during the call, or returns
// ErrNotFound.
func (s *Store) look(key []byte, fn func(v value) error) error {
	if v := s.space.newer(key); v != nil {
		if v.value == nil {
			return store.ErrNotFound
		}
		return fn(v.value)
	}
	return s.engine.database.view(func(tx *bolt.Tx) error {
		stored, err := s.space.stored(tx, key)
		if stored == nil {
			return cmp.Or(err, store.ErrNotFound)
		}
		return fn(stored.value())
	})
}

// Set implements store.Store. The error of a record that is too large matches ErrTooLarge and names
// the field.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if err := s.checkSize(&rec); err != nil {
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

// Touch implements store.Toucher. It isn't synced by itself: a crash of the machine or a power cut
// may lose the touches since the last other change of any session, or the last checkpoint.
func (s *Store) Touch(ctx context.Context, id string, seen time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if len(id) > maxName {
		return store.ErrNotFound
	}
	o := newOp(opTouch, s.space, id)
	o.seen = seen.UnixMicro()
	return s.change(ctx, o).err
}

// change looks the session up, to save the committer's time, and has the change made.
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

// App implements store.Namespacer. All Apps are in the same files.
func (s *Store) App(name string) store.Store {
	return &Store{engine: s.engine, space: s.engine.space(name)}
}

// Ping implements store.Pinger. It fails if the database can't be read, and while changes are
// refused because a write has failed or the disk is full.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := cmp.Or(s.engine.failed(), s.engine.committer.full.failed()); err != nil {
		return err
	}
	_, err := s.engine.database.head()
	return err
}

// Close closes the store and its Apps, after which all methods return store.ErrClosed. It writes
// the changes in the log to the database. If they can't be written it returns the reason, and the
// next Open recovers them. On the store of an App it does nothing.
func (s *Store) Close() error {
	if s.space.name != "" {
		return nil
	}
	return s.engine.close()
}

// Format implements fmt.Formatter: a store prints as its type, without its content.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "filestore.Store") }

func (s *Store) ready(ctx context.Context) error { return s.engine.ready(ctx) }

// maxName is the most bytes of an ID, a user ID or a client ID, which are in keys of the indexes.
const maxName = 8 << 10

// recordHead is more than a record takes in the log beside its texts and its data.
const recordHead = 512

// checkSize returns an error if the record is too large.
func (s *Store) checkSize(rec *store.Record) error {
	for _, f := range [...]struct {
		name string
		size int
	}{
		{"ID", len(rec.ID)},
		{"UserID", len(rec.UserID)},
		{"ClientID", len(rec.ClientID)},
		{"name of the App", len(s.space.name)},
	} {
		if f.size > maxName {
			return fmt.Errorf("%w: the %s has %d bytes; the limit is %d", ErrTooLarge, f.name, f.size, maxName)
		}
	}
	rest := len(rec.ID) + len(rec.UserID) + len(rec.ClientID) + len(rec.Addr) + len(rec.UserAgent) +
		recordHead + len(s.space.name)
	if limit := s.engine.opts.entryLimit() - rest; len(rec.Data) > limit {
		return fmt.Errorf("%w: the Data have %d bytes; the limit is %d, and grows with Options.LogSize",
			ErrTooLarge, len(rec.Data), max(limit, 0))
	}
	return nil
}

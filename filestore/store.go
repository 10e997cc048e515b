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

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string) (store.Record, error) {
	if err := s.ready(ctx); err != nil {
		return store.Record{}, err
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
	newer := s.space.newer(key)
	read := func(tx *bolt.Tx) error {
		v, err := s.space.value(tx, newer, key)
		if err != nil {
			return err
		}
		return fn(v)
	}
	if newer != nil {
		return read(nil)
	}
	return s.engine.database.view(read)
}

// Set implements store.Store. The error of a record that is too large matches ErrTooLarge and names
// the field.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
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
	out := s.change(ctx, newOp(opDestroy, s.space, id))
	return out.existed, out.err
}

// Touch implements store.Toucher. A power cut or a crash of the machine may lose the touches since
// the last other change of any session, or the last checkpoint.
func (s *Store) Touch(ctx context.Context, id string, seen time.Time) error {
	o := newOp(opTouch, s.space, id)
	o.seen = seen.UnixMicro()
	return s.change(ctx, o).err
}

// change looks the session up, to save the committer's time, and has the change made.
func (s *Store) change(ctx context.Context, o *op) outcome {
	err := cmp.Or(s.ready(ctx), s.engine.failed())
	if err == nil {
		o.known, err = s.engine.lookUp(s.space, o.key)
	}
	if err != nil {
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
// the changes in the log to the database; if it can't, it returns the reason, and the next Open
// recovers them. On the store of an App it does nothing.
func (s *Store) Close() error {
	if s.space.name != "" {
		return nil
	}
	return s.engine.close()
}

// Format implements fmt.Formatter: a store prints as its type, without its content.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "filestore.Store") }

func (s *Store) ready(ctx context.Context) error { return s.engine.ready(ctx) }

// recordHead is more than a record takes in the log beside its texts and its data.
const recordHead = 512

// checkSize returns an error if the record is too large.
func (s *Store) checkSize(rec *store.Record) error {
	rest := recordHead + len(rec.Addr) + len(rec.UserAgent)
	fields := [...]string{"ID", "UserID", "ClientID", "name of the App"}
	for i, text := range [...]string{rec.ID, rec.UserID, rec.ClientID, s.space.name} {
		if len(text) > maxName {
			return fmt.Errorf("%w: the %s has %d bytes; the limit is %d", ErrTooLarge, fields[i], len(text), maxName)
		}
		rest += len(text)
	}
	if limit := s.engine.opts.entryLimit() - rest; len(rec.Data) > limit {
		return fmt.Errorf("%w: the Data have %d bytes; the limit is %d, and grows with Options.LogSize",
			ErrTooLarge, len(rec.Data), max(limit, 0))
	}
	return nil
}

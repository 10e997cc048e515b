package sealed

import (
	"context"
	"fmt"

	"github.com/sessionbridge/sessionbridge/store"
)

var _ store.Store = (*Store)(nil)

// Get implements store.Store. It returns an error that matches ErrUnopenable, never
// store.ErrNotFound, for a record that can't be opened.
func (s *Store) Get(ctx context.Context, id string) (store.Record, error) {
	rec, err := s.inner.Get(ctx, id)
	return s.got(id, rec, err)
}

// got opens the reply of the inner store to a request for the record with the ID.
func (s *Store) got(id string, rec store.Record, err error) (store.Record, error) {
	if err != nil {
		return store.Record{}, err
	}
	if err = errOtherID; rec.ID == id {
		err = s.open(s.app, &rec)
	}
	if err != nil {
		s.reports.one(s.app, id, err)
		return store.Record{}, err
	}
	s.opened(&rec)
	return rec, nil
}

// opened notes that this revision of the record can be opened.
func (s *Store) opened(rec *store.Record) {
	s.confirmed.add(s.app, rec.ID, rec.Revision)
	s.reports.forget(s.app, rec.ID)
}

// Set implements store.Store. It never replaces a record that can't be opened: then it returns an
// error that matches ErrUnopenable. If the revision is not one that this Store has opened or stored
// lately, Set reads the record first to find out.
func (s *Store) Set(ctx context.Context, rec store.Record) (uint64, error) {
	if rec.Revision != 0 && !s.confirmed.has(s.app, rec.ID, rec.Revision) {
		stored, err := s.Get(ctx, rec.ID)
		if err != nil {
			return 0, err
		}
		if stored.Revision != rec.Revision {
			return 0, store.ErrConflict
		}
	}
	return s.put(ctx, &rec)
}

// put seals the record and stores it. The memory of its envelope is used again once the inner store
// has its copy; after an error, the inner store may still be reading it.
func (s *Store) put(ctx context.Context, rec *store.Record) (uint64, error) {
	in := s.getBuffers()
	if err := s.seal(s.app, rec, in); err != nil {
		return 0, err
	}
	revision, err := s.inner.Set(ctx, *rec)
	if err != nil {
		return revision, err
	}
	if cap(in.envelope) <= maxKept {
		s.buffers.Put(in)
	}
	s.confirmed.add(s.app, rec.ID, revision)
	return revision, nil
}

// Destroy implements store.Store, also for a record that can't be opened.
func (s *Store) Destroy(ctx context.Context, id string) (bool, error) {
	was, err := s.inner.Destroy(ctx, id)
	if err == nil {
		s.reports.forget(s.app, id)
	}
	return was, err
}

// Format implements fmt.Formatter. It prints no key.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "sealed.Store") }

// openListed opens a record of a listing, or adds it to what the listing has found.
func (s *Store) openListed(rec *store.Record, found *findings) error {
	err := s.open(s.app, rec)
	if err != nil {
		found.add(rec.ID, err)
		return err
	}
	s.opened(rec)
	return nil
}

package sealed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Rewrapped is how far Rewrap has come.
type Rewrapped struct {
	Read       int // records that have been read
	Rewrapped  int // of them, those that have been sealed with the first key
	Unopenable int // of them, those that can't be opened and are left as they are
}

const (
	rewrapReport  = 256 // records between calls of progress
	rewrapRetries = 100 // of a record that others write at the same time
	rewrapPause   = 20 * time.Millisecond
)

// Rewrap seals the records that are sealed with another than the first key once more, with the first
// key, and with Options.ReadPlain those that aren't sealed. It reads all records of this App, and
// also counts and reports those that can't be opened. The other Apps in a store have a Rewrap of
// their own. The store may be in use meanwhile: of a record that is changed at the same time, the
// change counts. The revision of a record becomes another one; nothing else of it changes.
//
// progress is called now and then, and at the end; nil: not at all. After an error or an
// interruption Rewrap can be called again: it goes on where it was, because it only reads the records
// that are sealed with the first key already. It needs a store.Lister or store.ActivityIndex
// (errors.ErrUnsupported). When it has returned nil and Unopenable is 0, and every process has the
// first key as its first, the other keys are no longer needed.
func (s *Store) Rewrap(ctx context.Context, progress func(Rewrapped)) (Rewrapped, error) {
	var done Rewrapped
	var all records
	if lister, ok := store.As[store.Lister](s.inner); ok {
		all = lister.List(ctx)
	} else if index, ok := store.As[store.ActivityIndex](s.inner); ok {
		all = index.ActiveSince(ctx, time.Time{})
	} else {
		return done, fmt.Errorf("sealed: rewrap: the store is neither a store.Lister nor a store.ActivityIndex: %w",
			errors.ErrUnsupported)
	}
	if progress == nil {
		progress = func(Rewrapped) {}
	}
	found := s.reports.begin(s.app)
	defer found.end()
	err := s.rewrapAll(ctx, all, found, &done, progress)
	progress(done)
	if err != nil {
		err = fmt.Errorf("sealed: rewrap: %w", err)
	}
	return done, err
}

func (s *Store) rewrapAll(
	ctx context.Context, all records, found *findings, done *Rewrapped, progress func(Rewrapped),
) error {
	for rec, err := range all {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		sealed, err := s.rewrap(ctx, rec)
		switch {
		case errors.Is(err, ErrUnopenable):
			found.add(rec.ID, err)
			done.Unopenable++
		case err != nil:
			return err
		case sealed:
			done.Rewrapped++
		}
		if done.Read++; done.Read%rewrapReport == 0 {
			progress(*done)
		}
	}
	return nil
}

// rewrap seals a record of the inner store with the first key, and reports whether it has done so.
func (s *Store) rewrap(ctx context.Context, rec store.Record) (bool, error) {
	id := rec.ID
	for range rewrapRetries {
		k, _ := s.keyOf(rec.Data, recordMagic)
		if err := s.open(s.app, &rec); err != nil {
			return false, err
		}
		if k == s.keys[0] {
			return false, nil
		}
		_, err := s.put(ctx, &rec)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, store.ErrNotFound):
			return false, nil
		case errors.Is(err, store.ErrConflict):
		case errors.Is(err, store.ErrBusy):
			if err := wait(ctx, rewrapPause); err != nil {
				return false, err
			}
		default:
			return false, err
		}
		if rec, err = s.inner.Get(ctx, id); errors.Is(err, store.ErrNotFound) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("a session was changed during each of %d attempts: %w", rewrapRetries, store.ErrConflict)
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// CopyOptions is how Copy behaves.
type CopyOptions struct {
	// Mirror also removes the sessions that the source no longer has from the target, which must be
	// a Lister; the source must be a Store. If the source has no session at all, Copy returns an
	// error and removes nothing, because the two may have been confused.
	Mirror bool

	// Switched is when the application began to use the target; zero: it doesn't yet. From then on
	// the target is right: Copy creates no session there, because one that the target lacks may
	// have ended there, and it leaves those that have been changed there. Mirror keeps the sessions
	// that were created since. It removes a session that has been used since, if it has been swept
	// from the source: run Copy before sessions expire there, or stop sweeping it.
	//
	// A time after the present one is an error, and nothing is copied: Mirror would remove the
	// sessions that begin in the target until then. There is no tolerance; if the time was taken on
	// another computer, whose clock is ahead, call Copy again a moment later.
	Switched time.Time

	// Progress is called now and then with the number of sessions of the source that have been
	// read, in the goroutine of Copy. Each call of Copy counts from 0, also one after an error: it
	// reads all sessions again. Nil: not at all.
	Progress func(done int)
}

// Copy copies the sessions in from to to, except those that have expired, and returns how many of
// them it has stored, touched or removed there. Both may be in use meanwhile. The cookies of a
// session open it in the target, too: all of the record is copied but its revision, which is the
// target's own, and its WriteID, by which Copy recognizes its copies. A store is not its own target:
// that is an error.
//
// Copy may be called again, after an error, or to copy what has changed since: it stores what the
// target lacks, and what has changed in the source since it was copied. Of a session that has also
// been changed in the target, or that the target has from elsewhere, the one that has been stored
// more often counts (Record.Writes); with Switched it is the target's.
//
// A few hundred records are in memory at a time, and up to 16 calls of a store under way. A store
// of several applications is copied by a call for each App. docs/operations.md has the steps of a
// move.
func Copy(ctx context.Context, from Lister, to Store, opts CopyOptions) (n int, err error) {
	if v := reflect.ValueOf(from); v.Comparable() && any(from) == any(to) {
		return 0, errors.New("store: copy: source and target are the same store: pass the one to copy to as the target")
	}
	if now := time.Now(); opts.Switched.After(now) {
		return 0, fmt.Errorf("store: copy: Switched is in the future: %v, and it is %v: "+
			"set the time at which the application began to use the target", opts.Switched.Round(0), now.Round(0))
	}
	c := copier{to: to, opts: opts}
	var source Store
	var target Lister
	if opts.Mirror {
		var isStore, isLister bool
		if source, isStore = from.(Store); !isStore {
			return 0, fmt.Errorf("store: copy: Mirror needs a source that is a Store: %T is none: %w",
				from, errors.ErrUnsupported)
		}
		if target, isLister = As[Lister](to); !isLister {
			return 0, fmt.Errorf("store: copy: Mirror needs a target that is a Lister: %T is none: %w",
				to, errors.ErrUnsupported)
		}
	}
	read, err := c.each(ctx, from.List(ctx), opts.Progress, c.copyOne)
	if err == nil && opts.Mirror {
		if read == 0 {
			return 0, errors.New("store: copy: Mirror: the source has no session: nothing is removed, " +
				"in case source and target are confused")
		}
		_, err = c.each(ctx, target.List(ctx), nil, func(ctx context.Context, rec *Record) error {
			return c.removeIfGone(ctx, source, rec)
		})
	}
	if err != nil {
		err = fmt.Errorf("store: copy: %w", err)
	}
	return int(c.changed.Load()), err
}

const (
	copyPage    = 512 // records in memory
	copyAtOnce  = 16  // of them that are being copied
	copyRetries = 100 // of a record that others write at the same time
	copyPause   = 20 * time.Millisecond
)

// copier is one call of Copy.
type copier struct {
	to      Store
	opts    CopyOptions
	changed atomic.Int64
}

// each calls do for each record, page by page. It returns how many records there were, and the
// first error.
func (c *copier) each(
	ctx context.Context, records iter.Seq2[Record, error], progress func(int), do func(context.Context, *Record) error,
) (done int, err error) {
	page := make([]Record, 0, copyPage)
	flush := func() error {
		err := eachOf(ctx, page, do)
		done += len(page)
		page = page[:0]
		if err == nil && progress != nil {
			progress(done)
		}
		return err
	}
	for rec, err := range records {
		if err != nil {
			return done, fmt.Errorf("list: %w", err)
		}
		if page = append(page, rec); len(page) == copyPage {
			if err := flush(); err != nil {
				return done, err
			}
		}
	}
	return done, flush()
}

// eachOf calls do for each record of a page, several at once, and returns the first error.
func eachOf(ctx context.Context, page []Record, do func(context.Context, *Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(copyAtOnce, len(page)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(page) {
					return
				}
				if err := do(ctx, &page[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// copyOne copies a record of the source.
func (c *copier) copyOne(ctx context.Context, rec *Record) error {
	for range copyRetries {
		if rec.Expired(time.Now()) {
			return nil
		}
		next := *rec
		next.WriteID = copyOf(rec)
		stored, err := c.to.Get(ctx, rec.ID)
		switch {
		case errors.Is(err, ErrNotFound):
			if !c.opts.Switched.IsZero() {
				return nil
			}
			next.Revision = 0
		case err != nil:
			return fmt.Errorf("read the target: %w", err)
		case !c.replaces(rec, &next, &stored):
			return nil
		default:
			next.Revision = stored.Revision
		}
		switch _, err := c.to.Set(ctx, next); {
		case err == nil:
			c.changed.Add(1)
			return nil
		case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound): // it has been changed since it was read
		case errors.Is(err, ErrBusy):
			if err := wait(ctx, copyPause); err != nil {
				return err
			}
		default:
			return fmt.Errorf("store in the target: %w", err)
		}
	}
	return fmt.Errorf("a session of the target was changed during each of %d attempts: %w", copyRetries, ErrConflict)
}

// replaces reports whether next, a copy of rec, is to replace what is stored in the target.
func (c *copier) replaces(rec, next, stored *Record) bool {
	switch {
	case stored.WriteID == next.WriteID, // a touch changes no WriteID
		isCopy(stored.WriteID) && stored.WriteID == rec.WriteID: // both are the same copy
		return next.Seen.After(stored.Seen)
	case isCopy(stored.WriteID): // unchanged since it was copied, perhaps by a Copy that has read it later
		return next.Writes >= stored.Writes
	}
	return c.opts.Switched.IsZero() && next.Writes > stored.Writes
}

// removeIfGone removes a record of the target that the source no longer has.
func (c *copier) removeIfGone(ctx context.Context, source Store, rec *Record) error {
	if at := c.opts.Switched; !at.IsZero() && !rec.Created.Before(at.Truncate(time.Millisecond)) { // as records have it
		return nil
	}
	_, err := source.Get(ctx, rec.ID)
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("read the source: %w", err)
	}
	removed, err := c.to.Destroy(ctx, rec.ID)
	if err != nil {
		return fmt.Errorf("remove from the target: %w", err)
	}
	if removed {
		c.changed.Add(1)
	}
	return nil
}

// copyPrefix begins the WriteIDs of copies. Those of other writers begin with random bytes.
const copyPrefix = "copy of "

// copyOf returns the WriteID of a copy of the record, as it is stored in the source.
func copyOf(rec *Record) (id WriteID) {
	version := binary.BigEndian.AppendUint64(rec.WriteID[:], rec.Revision)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(version, rec.Writes))
	copy(id[copy(id[:], copyPrefix):], sum[:])
	return id
}

func isCopy(id WriteID) bool { return string(id[:len(copyPrefix)]) == copyPrefix }

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

package filestore

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// sweepPiece is the number of sessions that are read with one transaction, or removed as one
// change.
const sweepPiece = 500

// Sweep implements store.Sweeper.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) ([]store.Record, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var removed []store.Record
	sw := newSweep(s, now.UnixMicro())
	for len(removed) < n {
		if err := s.ready(ctx); err != nil {
			return removed, err
		}
		piece, more, err := sw.next(min(sweepPiece, n-len(removed)))
		if err == nil && s.engine.epoch.Load() != sw.epoch {
			sw = newSweep(s, sw.now) // sessions have left an overlay while the piece was read
			continue
		}
		if err == nil {
			removed, err = s.remove(ctx, removed, piece, sw.now)
		}
		if err != nil {
			return removed, err
		}
		if requeued := sw.requeue(piece); !more && !requeued {
			break
		}
	}
	// The sessions that have expired, but were not removed because the limit was reached: their index
	// entries are moved.
	for piece := range slices.Chunk(sw.later, sweepPiece) {
		for _, d := range piece {
			d.keep = true
		}
		if _, err := s.remove(ctx, nil, piece, sw.now); err != nil {
			return removed, err
		}
	}
	sw.remember()
	return removed, nil
}

// remove has the committer remove the sessions that have expired, and appends their records. It
// finishes an op that it has begun, because sessions that are removed must be returned.
func (s *Store) remove(
	ctx context.Context, removed []store.Record, due []*overdue, now int64,
) ([]store.Record, error) {
	for len(due) > 0 {
		if err := s.engine.failed(); err != nil {
			return removed, err
		}
		o := newOp(opSweep, s.space, "")
		o.now = now
		for size := 0; len(due) > 0 && (len(o.due) == 0 || size < s.engine.opts.groupLimit()); due = due[1:] {
			size += s.space.entrySize(due[0].key)
			o.due = append(o.due, due[0])
		}
		piece := o.due
		out := s.engine.do(ctx, o)
		if !out.existed {
			return removed, out.err
		}
		for _, d := range piece {
			if d.removed == nil {
				continue
			}
			id, err := decodeID(d.key)
			if err != nil {
				return removed, err
			}
			rec, err := d.removed.record(id)
			if err != nil {
				return removed, err
			}
			removed = append(removed, rec)
		}
		if out.err != nil {
			return removed, out.err
		}
	}
	return removed, nil
}

// sweep iterates over the sessions in the order in which they have expired. It merges three
// sources: the overlays, the index of the database, and the sessions whose entries were before
// their expiry.
type sweep struct {
	store *Store
	now   int64

	epoch   uint64
	overlay []dueEntry // sorted
	stored  []*overdue // in order; a part of the entries in the database
	key     []byte     // the next entry to read; nil: the first
	ended   bool       // the database has no more
	later   overdueHeap
}

func newSweep(s *Store, now int64) *sweep {
	// The overlays are loaded before the epoch: the mark of an earlier sweep holds for both.
	l := s.space.layers.Load()
	sw := &sweep{store: s, now: now, epoch: s.engine.epoch.Load()}
	sw.key = s.space.swept.get(sw.epoch)
	for _, o := range l.all() {
		sw.overlay = append(sw.overlay, o.dueBy(now)...)
	}
	slices.SortFunc(sw.overlay, func(a, b dueEntry) int { return cmp.Compare(a.at, b.at) })
	return sw
}

// next returns the next sessions in order, at most n of which have expired. The entries of the
// others are to be moved. more reports whether there may be more sessions.
func (sw *sweep) next(n int) (piece []*overdue, more bool, err error) {
	for expired := 0; expired < n && len(piece) < 2*sweepPiece; {
		if len(sw.stored) == 0 && !sw.ended {
			if err := sw.read(); err != nil {
				return nil, false, err
			}
			continue
		}
		d, err := sw.pop()
		switch {
		case err != nil:
			return nil, false, err
		case d == nil:
			return piece, false, nil
		case d.expires > sw.now:
			piece = append(piece, d)
		case d.expires > d.at && !d.sorted:
			d.sorted = true
			heap.Push(&sw.later, d)
		default:
			piece = append(piece, d)
			expired++
		}
	}
	return piece, true, nil
}

// requeue adds the sessions that expire at another time than was read, to be returned again: a
// checkpoint has overtaken the transaction that read them. It reports whether there are any.
func (sw *sweep) requeue(piece []*overdue) (found bool) {
	for _, d := range piece {
		if d.retry {
			d.retry, d.sorted = false, true
			heap.Push(&sw.later, d)
			found = true
		}
	}
	return found
}

// pop removes the earliest session of all sources; nil: there is none.
func (sw *sweep) pop() (*overdue, error) {
	for {
		overlay, stored, later := int64(never), int64(never), int64(never)
		if len(sw.overlay) > 0 {
			overlay = sw.overlay[0].at
		}
		if len(sw.stored) > 0 {
			stored = sw.stored[0].at
		}
		if len(sw.later) > 0 {
			later = sw.later[0].expires
		}
		switch {
		case min(overlay, stored, later) == never:
			return nil, nil
		case later <= min(overlay, stored):
			return heap.Pop(&sw.later).(*overdue), nil //nolint:forcetypeassert // the heap has nothing else
		case stored <= overlay:
			d := sw.stored[0]
			sw.stored = sw.stored[1:]
			return d, nil
		}
		e := sw.overlay[0]
		sw.overlay = sw.overlay[1:]
		d := &overdue{key: []byte(e.key), at: e.at}
		v := sw.store.space.newer(d.key)
		if v == nil { // it has left the overlay
			var err error
			if d.known, err = sw.store.engine.lookUp(sw.store.space, d.key); err != nil {
				return nil, err
			}
			v = d.known.version
		}
		if v != nil && v.value != nil && v.due == e.at { // the entry isn't out of date
			d.expires = v.value.expiry()
			return d, nil
		}
	}
}

// read reads a piece of the database's index.
func (sw *sweep) read() error {
	sp := sw.store.space
	epoch := sw.store.engine.epoch.Load() // before the transaction, which may not have what leaves the overlays next
	return sw.store.engine.database.view(func(tx *bolt.Tx) error {
		index := tx.Bucket(sp.buckets.due)
		if index == nil {
			sw.ended = true
			return nil
		}
		c := index.Cursor()
		k, _ := c.First()
		if sw.key != nil {
			k, _ = c.Seek(sw.key)
		}
		for looked := 0; k != nil && decodeTime(k) <= sw.now; k, _ = c.Next() {
			if looked++; looked > sweepPiece {
				sw.key = bytes.Clone(k)
				return nil
			}
			d, err := sp.overdue(tx, k, epoch)
			if err != nil {
				return err
			}
			if d != nil {
				sw.stored = append(sw.stored, d)
			}
		}
		sw.ended = true
		if sw.key = append(appendTime(nil, sw.now), 0xff); k != nil {
			sw.key = bytes.Clone(k)
		}
		return nil
	})
}

// overdue returns the session of an entry in the database's index; nil: it is gone, or has another
// entry now.
func (sp *space) overdue(tx *bolt.Tx, k []byte, epoch uint64) (*overdue, error) {
	key := bytes.Clone(k[dueKeyTime:])
	d := &overdue{key: key, at: decodeTime(k)}
	v := sp.newer(key)
	if v == nil {
		stored, err := sp.stored(tx, key)
		if stored == nil {
			return nil, err
		}
		v = &version{value: append(value(nil), stored.value()...), due: stored.due()}
		d.known = lookup{epoch, v}
	}
	if v.value == nil || v.due != d.at {
		return nil, nil
	}
	d.expires = v.value.expiry()
	return d, nil
}

// remember marks the beginning of the database's index whose entries are out of date. The next
// checkpoint removes them.
func (sw *sweep) remember() {
	if sw.ended && len(sw.stored) == 0 {
		sw.store.space.swept.set(sw.epoch, sw.key)
	} else if len(sw.stored) > 0 {
		sw.store.space.swept.set(sw.epoch, dueKey(nil, sw.stored[0].at, sw.stored[0].key))
	}
}

// overdueHeap is a heap by expiry.
type overdueHeap []*overdue

func (h overdueHeap) Len() int           { return len(h) }
func (h overdueHeap) Less(i, j int) bool { return h[i].expires < h[j].expires }
func (h overdueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *overdueHeap) Push(x any)        { *h = append(*h, x.(*overdue)) } //nolint:forcetypeassert // all are
func (h *overdueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

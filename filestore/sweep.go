package filestore

import (
	"bytes"
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
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (removed []store.Record, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	sw := newSweep(s, now.UnixMicro())
	for more := true; more && len(removed) < n; {
		if err := s.ready(ctx); err != nil {
			return removed, err
		}
		var piece []*overdue
		piece, more, err = sw.next(min(sweepPiece, n-len(removed)))
		if err == nil && s.engine.epoch.Load() != sw.epoch {
			sw, more = newSweep(s, sw.now), true // sessions have left an overlay while the piece was read
			continue
		}
		if err == nil {
			removed, err = s.remove(ctx, removed, piece, sw.now)
		}
		if err != nil {
			return removed, err
		}
		more = sw.requeue(piece) || more
	}
	// Sessions that have expired, but were not removed because the limit was reached: only their index
	// entries are moved.
	rest := slices.DeleteFunc(slices.Clone(sw.queue), func(d *overdue) bool { return !d.sorted })
	for piece := range slices.Chunk(rest, sweepPiece) {
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
		n := 0
		for size := 0; n < len(due) && (n == 0 || size < s.engine.opts.groupLimit()); n++ {
			size += s.space.entrySize(due[n].key)
		}
		o.due = due[:n]
		out := s.engine.do(ctx, o)
		if !out.existed {
			return removed, out.err
		}
		for _, d := range due[:n] {
			if d.removed == nil {
				continue
			}
			id, err := decodeID(d.key)
			var rec store.Record
			if err == nil {
				rec, err = d.removed.record(id)
			}
			if err != nil {
				return removed, err
			}
			removed = append(removed, rec)
		}
		if out.err != nil {
			return removed, out.err
		}
		due = due[n:]
	}
	return removed, nil
}

// sweep iterates over the sessions in the order in which they have expired. It merges three
// sources: the overlays, the index of the database, and the sessions whose entries were before
// their expiry.
type sweep struct {
	store *Store
	now   int64

	epoch  uint64
	queue  overdueHeap
	stored int    // entries of the database's index in the queue
	key    []byte // the next entry to read; nil: the first
	ended  bool   // the database has no more
}

func newSweep(s *Store, now int64) *sweep {
	// The overlays are loaded before the epoch: the mark of an earlier sweep holds for both.
	l := s.space.layers.Load()
	sw := &sweep{store: s, now: now, epoch: s.engine.epoch.Load()}
	if mark := s.space.swept.Load(); mark != nil && mark.epoch == sw.epoch {
		sw.key = mark.key
	}
	for _, o := range l.all() {
		for _, e := range o.dueBy(now) {
			sw.queue = append(sw.queue, &overdue{key: []byte(e.key), at: e.at, order: e.at})
		}
	}
	heap.Init(&sw.queue)
	return sw
}

// next returns the next sessions in order, at most n of which have expired. The entries of the
// others are to be moved. more reports whether there may be more sessions.
func (sw *sweep) next(n int) (piece []*overdue, more bool, err error) {
	for expired := 0; expired < n && len(piece) < 2*sweepPiece; {
		if sw.stored == 0 && !sw.ended {
			if err := sw.read(); err != nil {
				return nil, false, err
			}
			continue
		}
		d, err := sw.pop()
		switch {
		case err != nil || d == nil:
			return piece, false, err
		case d.expires > sw.now:
			piece = append(piece, d)
		case d.expires > d.at && !d.sorted:
			sw.sort(d)
		default:
			piece = append(piece, d)
			expired++
		}
	}
	return piece, true, nil
}

// sort returns a session to the queue, in the order of its expiry.
func (sw *sweep) sort(d *overdue) {
	d.sorted, d.order = true, d.expires
	heap.Push(&sw.queue, d)
}

// requeue returns the sessions to the queue that expire at another time than was read: a checkpoint
// has overtaken the transaction that read them. It reports whether there are any.
func (sw *sweep) requeue(piece []*overdue) (found bool) {
	for _, d := range piece {
		if d.retry {
			d.retry = false
			sw.sort(d)
			found = true
		}
	}
	return found
}

// pop removes the earliest session; nil: there is none.
func (sw *sweep) pop() (*overdue, error) {
	for len(sw.queue) > 0 {
		d := heap.Pop(&sw.queue).(*overdue) //nolint:forcetypeassert // the heap has nothing else
		switch {
		case d.sorted:
			return d, nil
		case d.stored:
			sw.stored--
			return d, nil
		}
		v := sw.store.space.newer(d.key)
		if v == nil { // it has left the overlay
			var err error
			if d.known, err = sw.store.engine.lookUp(sw.store.space, d.key); err != nil {
				return nil, err
			}
			v = d.known.version
		}
		if d.isCurrent(v) {
			return d, nil
		}
	}
	return nil, nil
}

// isCurrent reports whether the index entry is that of the version. It sets the expiry.
func (d *overdue) isCurrent(v *version) bool {
	if v == nil || v.value == nil || v.due != d.at {
		return false
	}
	d.expires = v.value.expiry()
	return true
}

// read reads a piece of the database's index.
func (sw *sweep) read() error {
	sp := sw.store.space
	epoch := sw.store.engine.epoch.Load() // before the transaction, which may not have what leaves the overlays next
	return sw.store.engine.database.view(func(tx *bolt.Tx) error {
		looked := 0
		for k := range keysFrom(tx, sp.buckets.due, sw.key) {
			if sw.ended = decodeTime(k) > sw.now; sw.ended || looked == sweepPiece {
				sw.key = bytes.Clone(k)
				return nil
			}
			looked++
			at := decodeTime(k)
			d := &overdue{key: bytes.Clone(k[dueKeyTime:]), at: at, order: at, stored: true}
			v := sp.newer(d.key)
			if v == nil {
				stored, err := sp.stored(tx, d.key)
				if err != nil {
					return err
				}
				v = stored.version()
				d.known = lookup{epoch, v}
			}
			if d.isCurrent(v) {
				heap.Push(&sw.queue, d)
				sw.stored++
			}
		}
		sw.ended, sw.key = true, append(appendTime(nil, sw.now), 0xff)
		return nil
	})
}

// remember marks the beginning of the database's index whose entries are out of date. The next
// checkpoint removes them.
func (sw *sweep) remember() {
	key := sw.key
	for _, d := range sw.queue {
		if d.stored && !d.sorted {
			if k := dueKey(nil, d.at, d.key); bytes.Compare(k, key) < 0 {
				key = k
			}
		}
	}
	sw.store.space.swept.Store(&sweepMark{sw.epoch, key})
}

type overdueHeap []*overdue

func (h overdueHeap) Len() int           { return len(h) }
func (h overdueHeap) Less(i, j int) bool { return h[i].order < h[j].order }
func (h overdueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *overdueHeap) Push(x any)        { *h = append(*h, x.(*overdue)) } //nolint:forcetypeassert // likewise
func (h *overdueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

package filestore

import (
	"bytes"
	"container/heap"
	"context"
	"math"
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
	for len(removed) < n && (!sw.ended || len(sw.queue)+len(sw.early) > 0) {
		if err := s.ready(ctx); err != nil {
			return removed, err
		}
		piece, err := sw.next(min(sweepPiece, n-len(removed)))
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
		for _, d := range piece {
			if d.retry { // a checkpoint has overtaken the transaction that read it
				d.retry = false
				sw.add(d)
			}
		}
	}
	// The limit was reached: of the sessions that were read, only the index entries are moved.
	rest := sw.early
	for _, d := range sw.queue {
		if d.expires != d.at {
			rest = append(rest, d)
		}
	}
	for _, d := range rest {
		d.keep = true
	}
	if _, err := s.remove(ctx, nil, rest, sw.now); err != nil {
		return removed, err
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
		for size := 0; n < min(len(due), sweepPiece) && (n == 0 || size < s.engine.opts.groupLimit()); n++ {
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

// sweep iterates over the sessions in the order in which they have expired. It merges the entries
// of the overlays with those of the database's index, which it reads in pieces. An entry may stand
// before the expiry of its session, but not after it.
type sweep struct {
	store *Store
	now   int64
	epoch uint64

	queue overdueHeap
	early []*overdue // whose sessions haven't expired: the entries are to be moved
	key   []byte     // the next entry of the database's index
	ended bool       // it isn't due
}

func newSweep(s *Store, now int64) *sweep {
	// The overlays are loaded before the epoch: the mark of an earlier sweep holds for both.
	overlays := s.space.overlays()
	sw := &sweep{store: s, now: now, epoch: s.engine.epoch.Load(), key: appendTime(nil, math.MinInt64)}
	if mark := s.space.swept.Load(); mark != nil && mark.epoch == sw.epoch {
		sw.key = mark.key
	}
	for _, o := range overlays {
		for _, d := range o.dueBy(now) {
			sw.add(d)
		}
	}
	return sw
}

// next returns the next sessions that have expired, at most n, and others whose entries are to be
// moved.
func (sw *sweep) next(n int) (piece []*overdue, err error) {
	for len(piece) < n && len(sw.early) < sweepPiece && (!sw.ended || len(sw.queue) > 0) {
		if sw.ended || len(sw.queue) > 0 && sw.queue[0].expires < decodeTime(sw.key) {
			piece = append(piece, heap.Pop(&sw.queue).(*overdue)) //nolint:forcetypeassert // the heap has nothing else
		} else if err := sw.read(); err != nil {
			return nil, err
		}
	}
	piece = append(piece, sw.early...)
	sw.early = nil
	return piece, nil
}

// add adds a session, which may have changed since: the committer looks at it again.
func (sw *sweep) add(d *overdue) {
	if d.expires > sw.now {
		sw.early = append(sw.early, d)
	} else {
		heap.Push(&sw.queue, d)
	}
}

// read reads a piece of the database's index.
func (sw *sweep) read() error {
	sp := sw.store.space
	epoch := sw.store.engine.epoch.Load() // before the transaction, which may not have what leaves the overlays next
	return sw.store.engine.database.view(func(tx *bolt.Tx) error {
		looked := 0
		for k := range keysFrom(tx, sp.buckets.due, sw.key) {
			at := decodeTime(k)
			if sw.ended = at > sw.now; sw.ended || looked == sweepPiece {
				sw.key = bytes.Clone(k)
				return nil
			}
			looked++
			d := &overdue{key: bytes.Clone(k[dueKeyTime:]), at: at}
			v := sp.newer(d.key)
			if v == nil {
				stored, err := sp.stored(tx, d.key)
				if err != nil {
					return err
				}
				v = stored.version()
				d.known = lookup{epoch, v}
			}
			if v != nil && v.value != nil && v.due == at { // the entry isn't out of date
				d.expires = v.value.expiry()
				sw.add(d)
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
		if k := dueKey(nil, d.at, d.key); !d.keep && bytes.Compare(k, key) < 0 {
			key = k
		}
	}
	sw.store.space.swept.Store(&sweepMark{sw.epoch, key})
}

// overdueHeap is a heap by expiry.
type overdueHeap []*overdue

func (h overdueHeap) Len() int           { return len(h) }
func (h overdueHeap) Less(i, j int) bool { return h[i].expires < h[j].expires }
func (h overdueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *overdueHeap) Push(x any)        { *h = append(*h, x.(*overdue)) } //nolint:forcetypeassert // likewise
func (h *overdueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

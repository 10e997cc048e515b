package filestore

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// sweepPiece is how many sessions are looked at with one transaction, and removed as one change.
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
		if err == nil && s.engine.epoch.Load() != sw.epoch { // a part of it was looked at before, a part after sessions have left an overlay
			sw = newSweep(s, sw.now)
			continue
		}
		if err == nil {
			removed, err = s.remove(ctx, removed, piece, sw.now)
			sw.takeBack(piece)
		}
		if err != nil {
			return removed, err
		}
		if !more && !sw.returned {
			break
		}
		sw.returned = false
	}
	if err := s.moveLater(ctx, sw); err != nil {
		return removed, err
	}
	sw.remember()
	return removed, nil
}

// remove has the committer remove those that have expired and appends them. What it has begun it finishes: a session that is removed
// must be returned.
func (s *Store) remove(ctx context.Context, removed []store.Record, due []*overdue, now int64) ([]store.Record, error) {
	for len(due) > 0 {
		if err := s.engine.failed(); err != nil {
			return removed, err
		}
		o := newOp(opSweep, s.space, "")
		o.now = now
		for size := 0; len(due) > 0 && (len(o.due) == 0 || size < s.engine.groupLimit()); due = due[1:] {
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

// moveLater moves the entries of those that have expired, but after others that n had no room for.
func (s *Store) moveLater(ctx context.Context, sw *sweep) error {
	for piece := range slices.Chunk(sw.later, sweepPiece) {
		for _, d := range piece {
			d.keep = true
		}
		if _, err := s.remove(ctx, nil, piece, sw.now); err != nil {
			return err
		}
	}
	return nil
}

// applySweep removes the sessions that have expired, and moves the index entries of the others to where they expire.
func (e *engine) applySweep(o *op) (outcome, bool) {
	c := &e.committer
	for _, d := range o.due {
		cur, err := e.current(o.space, d.key, d.known)
		if err != nil {
			return outcome{err: err, existed: true}, true // the others are removed
		}
		if cur == nil || cur.due != d.at {
			continue // it is gone, or the entry is
		}
		switch expiry := cur.value.expiry(); {
		case expiry != d.expires && !d.keep: // it isn't its turn
			d.expires, d.known, d.again = expiry, lookup{}, true
		case expiry <= o.now && !d.keep:
			e.stage(o.space, d.key, cur, &version{due: never})
			c.log.destroy(o.space.name, d.key)
			c.durable = true
			d.removed = cur.value
		case expiry != d.at:
			e.stage(o.space, d.key, cur, &version{value: cur.value, due: expiry})
			c.log.touch(o.space.name, d.key, cur.value) // nothing new, but where its entry is now; see former
		}
	}
	return outcome{existed: true}, true
}

// sweep goes through the sessions in the order in which they expired. Entries of the index come at or before the expiry, so
// that those of several sources are merged by it: overlays, the database, and what was found too early there.
type sweep struct {
	store *Store
	now   int64

	epoch   uint64
	overlay []dueEntry // sorted
	home    []*overdue // in order; a part of what the database has
	key     []byte     // where the database goes on; nil: from the beginning
	ended   bool       // the database has no more
	later   overdueHeap

	returned bool // there is something in later that next hasn't seen
}

func newSweep(s *Store, now int64) *sweep {
	// The overlays before the epoch: what an earlier sweep has found out about the database holds for them and what was in them.
	l := s.space.layers.Load()
	sw := &sweep{store: s, now: now, epoch: s.engine.epoch.Load()}
	sw.key = s.space.swept.get(sw.epoch)
	for _, o := range l.all() {
		sw.overlay = append(sw.overlay, o.dueBy(now)...)
	}
	slices.SortFunc(sw.overlay, func(a, b dueEntry) int { return cmp.Compare(a.at, b.at) })
	return sw
}

// next returns the next sessions, n of those that have expired at most, in order. Sessions that have not expired are among them: their
// entries are to be moved. more tells whether there may be others.
func (sw *sweep) next(n int) (piece []*overdue, more bool, err error) {
	for expired := 0; expired < n && len(piece) < 2*sweepPiece; {
		if len(sw.home) == 0 && !sw.ended {
			if err := sw.read(); err != nil {
				return nil, false, err
			}
			continue
		}
		d, skip, err := sw.pop()
		switch {
		case err != nil:
			return nil, false, err
		case skip:
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

// takeBack takes those that expire at another time than was thought: they were looked at in a transaction that a checkpoint had overtaken.
func (sw *sweep) takeBack(piece []*overdue) {
	for _, d := range piece {
		if d.again {
			d.again, d.sorted = false, true
			heap.Push(&sw.later, d)
			sw.returned = true
		}
	}
}

// pop takes the first of the sources' first; nil: there is none. skip: it led to nothing.
func (sw *sweep) pop() (d *overdue, skip bool, err error) {
	const none = never
	overlay, home, later := int64(none), int64(none), int64(none)
	if len(sw.overlay) > 0 {
		overlay = sw.overlay[0].at
	}
	if len(sw.home) > 0 {
		home = sw.home[0].at
	}
	if len(sw.later) > 0 {
		later = sw.later[0].expires
	}
	switch {
	case min(overlay, home, later) == none:
		return nil, false, nil
	case later <= min(overlay, home):
		return heap.Pop(&sw.later).(*overdue), false, nil //nolint:forcetypeassert // nothing else is in there
	case home <= overlay:
		d = sw.home[0]
		sw.home = sw.home[1:]
		return d, false, nil
	}
	e := sw.overlay[0]
	sw.overlay = sw.overlay[1:]
	d = &overdue{key: []byte(e.key), at: e.at}
	v := sw.store.space.newer(d.key)
	if v == nil { // it has left the overlay since
		if d.known, err = sw.store.engine.lookUp(sw.store.space, d.key); err != nil {
			return nil, false, err
		}
		v = d.known.version
	}
	if v == nil || v.value == nil || v.due != e.at {
		return nil, true, nil
	}
	d.expires = v.value.expiry()
	return d, false, nil
}

// read reads on in the database's index.
func (sw *sweep) read() error {
	sp := sw.store.space
	epoch := sw.store.engine.epoch.Load() // before the transaction, which may be older than what has left the overlays since
	return sw.store.engine.home.view(func(tx *bolt.Tx) error {
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
				sw.home = append(sw.home, d)
			}
		}
		sw.ended = true
		if sw.key = append(appendTime(nil, sw.now), 0xff); k != nil {
			sw.key = bytes.Clone(k)
		}
		return nil
	})
}

// overdue returns the session that an entry of the database's index leads to; nil if there is none any more, or if the entry
// isn't where the session is due.
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

// remember notes up to where the database's index leads to nothing any more, until the next checkpoint makes that true there.
func (sw *sweep) remember() {
	if sw.ended && len(sw.home) == 0 {
		sw.store.space.swept.set(sw.epoch, sw.key)
	} else if len(sw.home) > 0 {
		sw.store.space.swept.set(sw.epoch, dueKey(nil, sw.home[0].at, sw.home[0].key))
	}
}

// sweptMark is a place in the database's index by expiry: what is before it is known to be out of date, as of an epoch.
type sweptMark struct {
	mu    sync.Mutex
	epoch uint64
	key   []byte
}

func (m *sweptMark) get(epoch uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch != epoch {
		return nil
	}
	return m.key
}

func (m *sweptMark) set(epoch uint64, key []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.key = epoch, key
}

// dueBy returns the entries at or before now that lead to a session, and forgets the others.
func (o *overlay) dueBy(now int64) (due []dueEntry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.minDue > now {
		return nil
	}
	o.minDue = never
	o.due = slices.DeleteFunc(o.due, func(e dueEntry) bool {
		v := o.find([]byte(e.key))
		if v != nil && (v.value == nil || v.due != e.at) {
			return true
		}
		o.minDue = min(o.minDue, e.at)
		if e.at <= now {
			due = append(due, e)
		}
		return false
	})
	return due
}

// overdueHeap is a heap by expiry.
type overdueHeap []*overdue

func (h overdueHeap) Len() int           { return len(h) }
func (h overdueHeap) Less(i, j int) bool { return h[i].expires < h[j].expires }
func (h overdueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *overdueHeap) Push(x any)        { *h = append(*h, x.(*overdue)) } //nolint:forcetypeassert // ours
func (h *overdueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

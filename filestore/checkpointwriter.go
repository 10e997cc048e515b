package filestore

import (
	"bytes"
	"cmp"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// checkpointWriter writes sessions to the database in the order of the keys, so that each page is
// written once, and in transactions of limited size: one can't reuse the pages that it frees.
//
// It writes the indexes first. After a crash in between, the log is replayed: the sessions are
// found as they were, and the changes of the indexes are computed again. But a session may have
// been changed again after that checkpoint: so all versions in the log but the last are removed
// from the indexes (see base.former).
type checkpointWriter struct {
	items   []item        // sorted
	changes []indexChange // sorted
	arena   []byte        // memory of the changes, or of the current transaction
	key     []byte        // of the last change
	bucket  *bolt.Bucket  // of the last entry, in the current transaction
	name    []byte        // of the bucket
}

// item is a session to be written.
type item struct {
	space   *space
	key     []byte
	version *version
	base    *base
}

// indexChange is an entry that is added to an index, or removed.
type indexChange struct {
	bucket, key []byte
	action      indexAction
}

type indexAction byte

const (
	removeEntry indexAction = iota // before an addition of the same key
	addEntry
)

// indexValues are the values for put.
var indexValues = [...][]byte{removeEntry: nil, addEntry: {}}

const (
	writeBatch = 2000 // sessions written with one transaction
	indexCost  = 2    // changes of indexes that cost as much as a session
	findBatch  = 1000 // sessions looked up with one transaction
)

func newCheckpointWriter(frozen map[*space]*overlay) *checkpointWriter {
	w := new(checkpointWriter)
	for sp, o := range frozen {
		o.all(func(key string, s *slot, v *version) { w.items = append(w.items, item{sp, []byte(key), v, &s.base}) })
	}
	slices.SortFunc(w.items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.space.name, b.space.name), bytes.Compare(a.key, b.key))
	})
	return w
}

// left returns the amount of work that is left, in sessions.
func (w *checkpointWriter) left() int { return len(w.items) + (len(w.changes)+indexCost-1)/indexCost }

// findChanges computes the changes of the indexes.
func (w *checkpointWriter) findChanges(d *database) error {
	for piece := range slices.Chunk(w.items, findBatch) {
		err := d.view(func(tx *bolt.Tx) error {
			for _, it := range piece {
				if err := it.find(tx); err != nil {
					return err
				}
				w.index(it)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(w.changes, func(a, b indexChange) int {
		return cmp.Or(bytes.Compare(a.bucket, b.bucket), bytes.Compare(a.key, b.key), cmp.Compare(a.action, b.action))
	})
	w.arena = nil // the changes keep it
	return nil
}

// write writes a batch.
func (w *checkpointWriter) write(tx *bolt.Tx) error {
	w.bucket = nil
	changes := w.changes[:min(len(w.changes), writeBatch*indexCost)]
	w.changes = w.changes[len(changes):]
	for _, c := range changes {
		if err := w.put(tx, c.bucket, c.key, indexValues[c.action]); err != nil {
			return err
		}
	}
	w.arena = w.arena[:0]
	items := w.items[:min(len(w.items), writeBatch-len(changes)/indexCost)]
	w.items = w.items[len(items):]
	for _, it := range items {
		var s stored
		if v := it.version; v.value != nil {
			s = makeStored(w.alloc(storedHead+len(v.value)), it.space.name, it.key, v.due, v.value)
		}
		if err := w.put(tx, it.space.buckets.sessions, it.key, s); err != nil {
			return err
		}
	}
	return nil
}

// put writes an entry, or removes it if the value is nil.
func (w *checkpointWriter) put(tx *bolt.Tx, name, key, value []byte) (err error) {
	if w.bucket == nil || !bytes.Equal(name, w.name) {
		if w.bucket, err = tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
		if w.name = name; name[0] == dueBucket || name[0] == seenBucket {
			w.bucket.FillPercent = 0.9 // most new entries are the last: pages stay full
		}
	}
	if value == nil {
		return w.bucket.Delete(key)
	}
	return w.bucket.Put(key, value)
}

// find looks up the base, if it isn't known.
func (it *item) find(tx *bolt.Tx) error {
	if it.base.known {
		return nil
	}
	old, err := it.space.stored(tx, it.key)
	if err != nil {
		return err
	}
	it.base.known = true
	if old != nil {
		it.base.exists, it.base.place = true, old.place()
		it.base.owner = append(value(nil), it.base.owner...) // the transaction ends
	}
	return nil
}

// index adds the changes of the indexes for a session.
func (w *checkpointWriter) index(it item) {
	old, now := &it.base.place, place{}
	var same [indexes]bool
	if it.version.value != nil {
		now = it.version.place()
	}
	if it.version.value != nil && it.base.exists && len(it.base.former) == 0 {
		same = [indexes]bool{old.due == now.due, old.granule == now.granule, true, true}
		if old.owner != nil {
			same[byUser], same[byClient] = old.owner.sameOwner(now.owner)
		}
	}
	for i, bucket := range it.space.buckets.indexes() {
		if same[i] {
			continue
		}
		if it.base.exists {
			w.change(bucket, i, old, it.key, removeEntry)
		}
		for f := range it.base.former {
			w.change(bucket, i, &it.base.former[f], it.key, removeEntry)
		}
		if it.version.value != nil {
			w.change(bucket, i, &now, it.key, addEntry)
		}
	}
}

// change adds or removes the entry of an index, if it has the session.
func (w *checkpointWriter) change(bucket []byte, index int, at *place, key []byte, action indexAction) {
	w.key = at.appendKey(w.key[:0], index, key)
	if n := len(w.key); n > 0 {
		w.changes = append(w.changes, indexChange{bucket, append(w.alloc(n), w.key...), action})
	}
}

const arenaChunk = 1 << 20

// alloc returns an empty slice with room for n bytes. It stays unchanged until the next write.
func (w *checkpointWriter) alloc(n int) []byte {
	if cap(w.arena)-len(w.arena) < n {
		w.arena = make([]byte, 0, max(arenaChunk, n)) // the slices in the former one keep it alive
	}
	at := len(w.arena)
	w.arena = w.arena[:at+n]
	return w.arena[at : at : at+n]
}

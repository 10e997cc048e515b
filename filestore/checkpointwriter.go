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
	writes []write      // that are left: entries of indexes, sorted, and then sessions, sorted
	arena  []byte       // memory of the writes, or of the current transaction
	bucket *bolt.Bucket // of the last entry, in the current transaction
	name   []byte       // of the bucket

	before, after []byte // keys of a session in an index, reused
}

// write is an entry that is put into a bucket, or removed.
type write struct {
	bucket, key []byte
	action      byte
	version     *version // of a session
}

const (
	removeEntry = iota // before an addition of the same key
	addEntry           // to an index
	putSession
)

// item is a session to be written.
type item struct {
	space   *space
	key     []byte
	version *version
	base    *base
}

// checkpointBatch is the number of sessions that are looked up with one transaction, or of entries
// that are written.
const checkpointBatch = 3000

// newCheckpointWriter computes what is to be written.
func newCheckpointWriter(d *database, frozen map[*space]*overlay) (*checkpointWriter, error) {
	w := new(checkpointWriter)
	var items []item
	for sp, o := range frozen {
		o.all(func(key string, s *slot, v *version) { items = append(items, item{sp, []byte(key), v, &s.base}) })
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.space.name, b.space.name), bytes.Compare(a.key, b.key))
	})
	for piece := range slices.Chunk(items, checkpointBatch) {
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
			return nil, err
		}
	}
	slices.SortFunc(w.writes, func(a, b write) int {
		return cmp.Or(bytes.Compare(a.bucket, b.bucket), bytes.Compare(a.key, b.key), cmp.Compare(a.action, b.action))
	})
	for _, it := range items {
		action := byte(putSession)
		if it.version.value == nil {
			action = removeEntry
		}
		w.writes = append(w.writes, write{it.space.buckets.sessions, it.key, action, it.version})
	}
	w.arena = nil // the writes keep it
	return w, nil
}

// write writes a batch.
func (w *checkpointWriter) write(tx *bolt.Tx) error {
	w.bucket, w.arena = nil, w.arena[:0]
	batch := w.writes[:min(len(w.writes), checkpointBatch)]
	w.writes = w.writes[len(batch):]
	for _, c := range batch {
		var value []byte
		switch c.action {
		case addEntry:
			value = []byte{}
		case putSession:
			v := c.version
			value = makeStored(w.alloc(storedHead+len(v.value)), string(c.bucket[1:]), c.key, v.due, v.value)
		}
		if err := w.put(tx, c.bucket, c.key, value); err != nil {
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
		it.base.exists, it.base.place = true, placeOf(old.value(), old.due())
		it.base.owner = append(value(nil), it.base.owner...) // the transaction ends
	}
	return nil
}

// index adds the writes to the indexes for a session. Most entries of a session that stays do,
// too.
func (w *checkpointWriter) index(it item) {
	old, now := it.base.place, place{}
	if it.version.value != nil {
		now = placeOf(it.version.value, it.version.due)
	}
	if old.owner == nil {
		old.owner = now.owner
	}
	for i, bucket := range it.space.buckets.indexes() {
		w.before, w.after = w.before[:0], w.after[:0]
		if it.base.exists {
			w.before = old.appendKey(w.before, i, it.key)
		}
		if it.version.value != nil {
			w.after = now.appendKey(w.after, i, it.key)
		}
		if len(it.base.former) == 0 && bytes.Equal(w.before, w.after) {
			continue
		}
		w.change(bucket, w.before, removeEntry)
		for f := range it.base.former {
			w.change(bucket, it.base.former[f].appendKey(nil, i, it.key), removeEntry)
		}
		w.change(bucket, w.after, addEntry)
	}
}

// change adds or removes the entry of an index; an empty key stands for none.
func (w *checkpointWriter) change(bucket, key []byte, action byte) {
	if n := len(key); n > 0 {
		w.writes = append(w.writes, write{bucket: bucket, key: append(w.alloc(n), key...), action: action})
	}
}

// The first chunk of an arena is small, because most checkpoints are; each next one is twice as large.
const (
	firstArenaChunk = 4 << 10
	maxArenaChunk   = 1 << 20
)

// alloc returns an empty slice with room for n bytes. It stays unchanged until the next write.
func (w *checkpointWriter) alloc(n int) []byte {
	if cap(w.arena)-len(w.arena) < n {
		size := min(max(2*cap(w.arena), firstArenaChunk), maxArenaChunk)
		w.arena = make([]byte, 0, max(size, n)) // the slices in the former one keep it alive
	}
	at := len(w.arena)
	w.arena = w.arena[:at+n]
	return w.arena[at : at : at+n]
}

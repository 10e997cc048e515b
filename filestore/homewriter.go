package filestore

import (
	"bytes"
	"cmp"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// homeWriter brings sessions into the database, and keeps the indexes: with transactions of limited size, each in the order
// of the keys, so that each page is written once. A large one would have the database grow, because it can't use the pages
// again that a transaction frees before that has ended.
//
// The indexes are written first. When a crash comes in between, the log is replayed: then the sessions are found as they were,
// and the changes of the indexes are found once more. But a session may be another one at the end of the log than it was for that
// checkpoint: so every version in the log is taken out of the indexes, but the last.
type homeWriter struct {
	items   []item        // sorted
	changes []indexChange // sorted
	arena   []byte        // of what the changes, or the transaction, refer to
}

// indexChange is an entry that an index gets or loses.
type indexChange struct {
	bucket []byte
	key    []byte
	remove bool
}

const (
	writeBatch = 2000 // sessions that are written with one transaction
	indexCost  = 2    // changes of indexes that count as much as a session
	findBatch  = 1000 // sessions that are looked up with one transaction
)

// done reports whether everything is written.
func (w *homeWriter) done() bool { return len(w.items) == 0 && len(w.changes) == 0 }

// left is how much is left to be written, in sessions.
func (w *homeWriter) left() int { return len(w.items) + len(w.changes)/indexCost }

// findChanges finds out what changes in the indexes.
func (w *homeWriter) findChanges(h *home) error {
	for piece := range slices.Chunk(w.items, findBatch) {
		err := h.view(func(tx *bolt.Tx) error {
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
		return cmp.Or(bytes.Compare(a.bucket, b.bucket), bytes.Compare(a.key, b.key), removedFirst(a, b))
	})
	w.arena = nil // the changes keep it
	return nil
}

// removedFirst sorts the changes of one entry.
func removedFirst(a, b indexChange) int {
	switch {
	case a.remove == b.remove:
		return 0
	case a.remove:
		return -1
	}
	return 1
}

// write writes as much as a transaction takes.
func (w *homeWriter) write(tx *bolt.Tx) error {
	changes := w.changes[:min(len(w.changes), writeBatch*indexCost)]
	w.changes = w.changes[len(changes):]
	if err := writeIndexes(tx, changes); err != nil {
		return err
	}
	items := w.items[:min(len(w.items), writeBatch-len(changes)/indexCost)]
	w.items = w.items[len(items):]
	return w.writeSessions(tx, items)
}

func (w *homeWriter) writeSessions(tx *bolt.Tx, items []item) error {
	w.arena = w.arena[:0]
	var (
		sp       *space
		sessions *bolt.Bucket
	)
	for _, it := range items {
		var err error
		if it.space != sp {
			sp = it.space
			if sessions, err = tx.CreateBucketIfNotExists(sp.buckets.sessions); err != nil {
				return err
			}
		}
		if it.value == nil {
			err = sessions.Delete(it.key)
		} else {
			err = sessions.Put(it.key, makeStored(w.alloc(storedHead+len(it.value)), sp.name, it.key, it.version.due, it.value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeIndexes(tx *bolt.Tx, changes []indexChange) error {
	var (
		name  []byte
		index *bolt.Bucket
	)
	for _, c := range changes {
		var err error
		if !bytes.Equal(c.bucket, name) {
			name = c.bucket
			if index, err = tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
			if name[0] == dueBucket || name[0] == seenBucket {
				index.FillPercent = 0.9 // new entries come last, and leave full pages behind
			}
		}
		if c.remove {
			err = index.Delete(c.key)
		} else {
			err = index.Put(c.key, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// find looks up what the database has, if that isn't known.
func (it *item) find(tx *bolt.Tx) error {
	if it.known {
		return nil
	}
	old, err := it.space.stored(tx, it.key)
	if err != nil {
		return err
	}
	it.known = true
	if old != nil {
		it.exists, it.granule, it.base.due, it.owner = true, old.granule(), old.due(), append(value(nil), old.value()...)
	}
	return nil
}

// index finds out which indexes change.
func (w *homeWriter) index(it item) {
	switch {
	case len(it.former) > 0:
		w.indexAnew(it)
	case it.exists && it.value != nil:
		w.reindex(it)
	case it.exists:
		w.indexAll(it, it.base.due, it.granule, it.owner, true)
	case it.value != nil:
		w.indexAll(it, it.version.due, granuleOf(it.value.seen()), it.value, false)
	}
}

// reindex is index for a session that stays. Most of them have all entries in the right place.
func (w *homeWriter) reindex(it item) {
	if it.base.due != it.version.due {
		w.indexDue(it, it.base.due, true)
		w.indexDue(it, it.version.due, false)
	}
	if g := granuleOf(it.value.seen()); g != it.granule {
		w.indexSeen(it, it.granule, true)
		w.indexSeen(it, g, false)
	}
	if it.owner == nil {
		return
	}
	sameUser, sameClient := it.owner.sameOwner(it.value)
	if !sameUser {
		w.indexUser(it, it.owner, true)
		w.indexUser(it, it.value, false)
	}
	if !sameClient {
		w.indexClient(it, it.owner, true)
		w.indexClient(it, it.value, false)
	}
}

// indexAnew is index for a session of which the indexes may have more than is known.
func (w *homeWriter) indexAnew(it item) {
	if it.exists {
		w.indexAll(it, it.base.due, it.granule, it.owner, true)
	}
	for _, f := range it.former {
		w.indexDue(it, f.expiry, true)
		w.indexDue(it, f.due, true)
		w.indexSeen(it, f.granule, true)
		if f.owner != nil {
			w.indexUser(it, f.owner, true)
			w.indexClient(it, f.owner, true)
		}
	}
	if it.value != nil {
		w.indexAll(it, it.version.due, granuleOf(it.value.seen()), it.value, false)
	}
}

func (w *homeWriter) indexAll(it item, due int64, granule uint32, owner value, remove bool) {
	w.indexDue(it, due, remove)
	w.indexSeen(it, granule, remove)
	w.indexUser(it, owner, remove)
	w.indexClient(it, owner, remove)
}

func (w *homeWriter) indexDue(it item, due int64, remove bool) {
	if due != never {
		w.change(it.space.buckets.due, dueKey(w.alloc(dueKeyTime+len(it.key)), due, it.key), remove)
	}
}

func (w *homeWriter) indexSeen(it item, granule uint32, remove bool) {
	w.change(it.space.buckets.seen, seenKey(w.alloc(seenKeyGranule+len(it.key)), granule, it.key), remove)
}

func (w *homeWriter) indexUser(it item, v value, remove bool) {
	if user, _ := v.owner(); len(user) > 0 {
		w.change(it.space.buckets.users, userKey(w.alloc(maxLength+len(user)+len(it.key)), user, it.key), remove)
	}
}

func (w *homeWriter) indexClient(it item, v value, remove bool) {
	if _, client := v.owner(); len(client) > 0 {
		w.change(it.space.buckets.clients, clientKey(w.alloc(1+maxLength+len(client)+len(it.key)), client, v.uuidClient(), it.key), remove)
	}
}

func (w *homeWriter) change(bucket, key []byte, remove bool) {
	w.changes = append(w.changes, indexChange{bucket, key, remove})
}

const arenaChunk = 1 << 20

// alloc returns an empty slice with room for n bytes, which stays as it is until the next write.
func (w *homeWriter) alloc(n int) []byte {
	if cap(w.arena)-len(w.arena) < n {
		w.arena = make([]byte, 0, max(arenaChunk, n)) // the former is kept by those who have a part of it
	}
	at := len(w.arena)
	w.arena = w.arena[:at+n]
	return w.arena[at : at : at+n]
}

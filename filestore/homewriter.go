package filestore

import (
	"bytes"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// homeWriter writes sessions into the database, and keeps the indexes.
type homeWriter struct {
	arena   []byte // of what the transaction refers to until it is committed
	changes [4][]indexChange
}

// indexChange is an entry that an index gets or loses.
type indexChange struct {
	key    []byte
	remove bool
}

// The indexes, as indexes of homeWriter.changes.
const (
	byDue = iota
	bySeen
	byUser
	byClient
)

// write brings the sessions, sorted by space and key, into the database.
func (w *homeWriter) write(tx *bolt.Tx, items []item) error {
	w.arena = w.arena[:0]
	for len(items) > 0 {
		n := 1
		for n < len(items) && items[n].space == items[0].space {
			n++
		}
		if err := w.writeSpace(tx, items[0].space, items[:n]); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

func (w *homeWriter) writeSpace(tx *bolt.Tx, sp *space, items []item) error {
	sessions, err := tx.CreateBucketIfNotExists(sp.buckets.sessions)
	if err != nil {
		return err
	}
	for i := range w.changes {
		w.changes[i] = w.changes[i][:0]
	}
	for _, it := range items {
		old, err := sp.stored(tx, it.key)
		if err != nil {
			return err
		}
		w.index(it, old)
		switch {
		case it.value != nil:
			s := makeStored(w.alloc(storedValue+len(it.value)), sp.name, it.key, it.due, it.value)
			err = sessions.Put(it.key, s)
		case old != nil:
			err = sessions.Delete(it.key)
		}
		if err != nil {
			return err
		}
	}
	for i, name := range [...][]byte{byDue: sp.buckets.due, bySeen: sp.buckets.seen, byUser: sp.buckets.users, byClient: sp.buckets.clients} {
		if err := w.writeIndex(tx, name, w.changes[i], i == byDue || i == bySeen); err != nil {
			return err
		}
	}
	return nil
}

// index finds out which indexes change. old is what the database has, nil if nothing.
func (w *homeWriter) index(it item, old stored) {
	if old != nil && it.value != nil {
		w.reindex(it, old)
		return
	}
	if old != nil {
		w.indexAll(it.key, old.due(), old.value(), true)
	}
	if it.value != nil {
		w.indexAll(it.key, it.due, it.value, false)
	}
}

// reindex is index for a session that stays. Most of them have all entries in the right place.
func (w *homeWriter) reindex(it item, old stored) {
	if old.due() != it.due {
		w.indexDue(it.key, old.due(), true)
		w.indexDue(it.key, it.due, false)
	}
	if g := granuleOf(it.value.seen()); g != old.granule() {
		w.change(bySeen, seenKey(w.alloc(seenKeyGranule+len(it.key)), old.granule(), it.key), true)
		w.change(bySeen, seenKey(w.alloc(seenKeyGranule+len(it.key)), g, it.key), false)
	}
	oldUser, oldClient := old.value().owner()
	user, client := it.value.owner()
	if !bytes.Equal(oldUser, user) {
		w.indexUser(it.key, oldUser, true)
		w.indexUser(it.key, user, false)
	}
	if !bytes.Equal(oldClient, client) || old.value().uuidClient() != it.value.uuidClient() {
		w.indexClient(it.key, oldClient, old.value().uuidClient(), true)
		w.indexClient(it.key, client, it.value.uuidClient(), false)
	}
}

func (w *homeWriter) indexAll(key []byte, due int64, v value, remove bool) {
	w.indexDue(key, due, remove)
	w.change(bySeen, seenKey(w.alloc(seenKeyGranule+len(key)), granuleOf(v.seen()), key), remove)
	user, client := v.owner()
	w.indexUser(key, user, remove)
	w.indexClient(key, client, v.uuidClient(), remove)
}

func (w *homeWriter) indexDue(key []byte, due int64, remove bool) {
	if due != never {
		w.change(byDue, dueKey(w.alloc(dueKeyTime+len(key)), due, key), remove)
	}
}

func (w *homeWriter) indexUser(key, user []byte, remove bool) {
	if len(user) > 0 {
		w.change(byUser, userKey(w.alloc(len(user)+1+len(key)), user, key), remove)
	}
}

func (w *homeWriter) indexClient(key, client []byte, isUUID, remove bool) {
	if len(client) > 0 {
		w.change(byClient, clientKey(w.alloc(1+len(client)+1+len(key)), client, isUUID, key), remove)
	}
}

func (w *homeWriter) change(index int, key []byte, remove bool) {
	w.changes[index] = append(w.changes[index], indexChange{key, remove})
}

// writeIndex makes the changes in the order of the index, so that a page is looked at once. Of an index by time almost all new
// entries come last, and fill the pages that they leave behind.
func (*homeWriter) writeIndex(tx *bolt.Tx, name []byte, changes []indexChange, byTime bool) error {
	if len(changes) == 0 {
		return nil
	}
	bucket, err := tx.CreateBucketIfNotExists(name)
	if err != nil {
		return err
	}
	if byTime {
		bucket.FillPercent = 0.9
	}
	slices.SortFunc(changes, func(a, b indexChange) int { return bytes.Compare(a.key, b.key) })
	for _, c := range changes {
		if c.remove {
			err = bucket.Delete(c.key)
		} else {
			err = bucket.Put(c.key, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
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

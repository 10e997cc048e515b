package filestore

import (
	"bytes"
	"cmp"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// repairWriter brings sessions into a new database, in any order.
type repairWriter struct {
	home   *home
	spaces map[string]*space
	items  []item
	size   int
	saved  int64
}

// repairBatch is how many bytes of sessions are collected before they are sorted and written.
const repairBatch = 32 << 20

// add adds a session. It is copied.
func (w *repairWriter) add(app string, key []byte, v value) error {
	sp := w.spaces[app]
	if sp == nil {
		sp = newSpace(app)
		w.spaces[app] = sp
	}
	w.items = append(w.items, item{space: sp, key: bytes.Clone(key), version: &version{value: bytes.Clone(v), due: v.expiry()}, base: new(base)})
	if w.size += len(key) + len(v); w.size < repairBatch {
		return nil
	}
	return w.flush()
}

// flush writes what was added. Of a session that was found twice, which a sound database doesn't have, the newer revision is kept.
func (w *repairWriter) flush() error {
	slices.SortFunc(w.items, func(a, b item) int {
		return cmp.Or(bytes.Compare(a.space.buckets.sessions, b.space.buckets.sessions), bytes.Compare(a.key, b.key))
	})
	items := w.items[:0]
	err := w.home.view(func(tx *bolt.Tx) error {
		for _, it := range w.items {
			old, err := it.space.stored(tx, it.key)
			if err != nil {
				return err
			}
			if n := len(items); n > 0 && items[n-1].space == it.space && bytes.Equal(items[n-1].key, it.key) {
				if items[n-1].value.revision() < it.value.revision() {
					items[n-1] = it
				}
				continue
			}
			switch {
			case old == nil:
				w.saved++
			case old.value().revision() >= it.value.revision():
				continue
			}
			items = append(items, it)
		}
		return nil
	})
	if err != nil {
		return err
	}
	writer := homeWriter{items: items}
	if err := writer.findChanges(w.home); err != nil {
		return err
	}
	for !writer.done() {
		if err := w.home.update(writer.write); err != nil {
			return err
		}
	}
	w.items, w.size = nil, 0
	return nil
}

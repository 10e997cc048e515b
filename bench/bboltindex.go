package main

import (
	"bytes"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

var (
	boltSessions = []byte("s")
	boltExpiry   = []byte("x")
	boltActivity = []byte("a")
	boltUsers    = []byte("u")
	boltClients  = []byte("c")
)

// apply stores the record, if its revision is the stored one, and keeps the indexes: those that
// have it elsewhere now. The expiry is kept as lazily as by ours, moved only when it is earlier
// than before.
func apply(tx *bolt.Tx, op boltSet) error {
	sessions := tx.Bucket(boltSessions)
	old, id := peerValue(sessions.Get(op.key[:])), op.key[:]
	switch {
	case old == nil && op.revision != 0:
		return store.ErrNotFound
	case old != nil && old.revision() != op.revision:
		return store.ErrConflict
	}
	move := func(bucket, from, to []byte) error {
		b := tx.Bucket(bucket)
		if from != nil {
			if err := b.Delete(from); err != nil {
				return err
			}
		}
		return b.Put(to, nil)
	}
	for _, e := range changedEntries(old, op.value, id) {
		if err := move(e.index, e.from, e.to); err != nil {
			return err
		}
	}
	return sessions.Put(id, op.value)
}

// entry is what an index has of a session: at from until now, nil if it is new, and at to from now
// on.
type entry struct {
	index    []byte
	from, to []byte
}

// changedEntries returns the index entries that a new value changes, and notes in the value where
// the index of expiries has it.
func changedEntries(old, next peerValue, id []byte) []entry {
	var changed []entry
	if old == nil {
		client, user := next.owner()
		return append(changed,
			entry{boltExpiry, nil, dueEntry(next, id)},
			entry{boltActivity, nil, minuteEntry(next, id)},
			entry{boltUsers, nil, ownerEntry(user, id)},
			entry{boltClients, nil, ownerEntry(client, id)},
		)
	}
	if next.expires() >= old.due() {
		next.setDue(old.due())
	} else {
		changed = append(changed, entry{boltExpiry, dueEntry(old, id), dueEntry(next, id)})
	}
	if old.minute() != next.minute() {
		changed = append(changed, entry{boltActivity, minuteEntry(old, id), minuteEntry(next, id)})
	}
	oldClient, oldUser := old.owner()
	client, user := next.owner()
	if !bytes.Equal(oldUser, user) {
		changed = append(changed, entry{boltUsers, ownerEntry(oldUser, id), ownerEntry(user, id)})
	}
	if !bytes.Equal(oldClient, client) {
		changed = append(changed, entry{boltClients, ownerEntry(oldClient, id), ownerEntry(client, id)})
	}
	return changed
}

func dueEntry(v peerValue, id []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, v.due()), id...)
}

func minuteEntry(v peerValue, id []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, v.minute()), id...)
}

func ownerEntry(owner, id []byte) []byte {
	b := append(make([]byte, 0, len(owner)+1+len(id)), owner...)
	return append(append(b, 0), id...)
}

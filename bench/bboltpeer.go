package main

import (
	"errors"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// boltPeer is what a session store on bbolt alone would be: a bucket of sessions and the same
// indexes as ours.
type boltPeer struct {
	path string
	// update runs a set in a transaction: its own, or one that it shares.
	update func(b *boltPeer, op boltSet) error

	db        *bolt.DB
	committer *committer[boltSet]
}

// boltSet is one record to be stored.
type boltSet struct {
	key      key
	revision uint64 // that is stored
	value    peerValue
}

func newBoltPeer(dir string, update func(*boltPeer, boltSet) error) *boltPeer {
	return &boltPeer{path: filepath.Join(dir, "sessions.db"), update: update}
}

// ownTransaction is bbolt's Update for each set.
func ownTransaction(dir string) engine {
	return newBoltPeer(dir, func(b *boltPeer, op boltSet) error {
		return b.db.Update(func(tx *bolt.Tx) error { return apply(tx, op) })
	})
}

// batched is bbolt's Batch, with its defaults.
func batched(dir string) engine {
	return newBoltPeer(dir, func(b *boltPeer, op boltSet) error {
		return b.db.Batch(func(tx *bolt.Tx) error { return apply(tx, op) })
	})
}

// committed is one goroutine that puts all that waits into one Update.
func committed(dir string) engine {
	return newBoltPeer(dir, func(b *boltPeer, op boltSet) error { return b.committer.do(op) })
}

var boltBuckets = [][]byte{boltSessions, boltExpiry, boltActivity, boltUsers, boltClients}

func (b *boltPeer) fill(n int, progress func(int)) error {
	if err := b.open(); err != nil {
		return err
	}
	const piece = 1000
	for from := 0; from < n; from += piece {
		err := b.db.Update(func(tx *bolt.Tx) error {
			for _, name := range boltBuckets {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			for i := from; i < min(from+piece, n); i++ {
				if err := apply(tx, boltSetOf(i, 1)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return errors.Join(err, b.close())
		}
		progress(from + piece)
	}
	return b.close()
}

func (b *boltPeer) open() (err error) {
	b.db, err = bolt.Open(b.path, 0o600, &bolt.Options{InitialMmapSize: 4 << 30})
	if err != nil {
		return err
	}
	b.committer = newCommitter(func(ops []boltSet) error {
		return b.db.Update(func(tx *bolt.Tx) error {
			for _, op := range ops {
				if err := apply(tx, op); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return nil
}

func boltSetOf(n int, count uint64) boltSet {
	rec := fileSession(n, count, time.Now())
	return boltSet{keyOf(n), rec.Revision, encode(&rec)}
}

func (b *boltPeer) set(n int, count uint64) error { return b.update(b, boltSetOf(n, count)) }

func (b *boltPeer) get(n int) (rec store.Record, err error) {
	id := keyOf(n)
	err = b.db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(boltSessions).Get(id[:])
		if v == nil {
			return store.ErrNotFound
		}
		rec, err = peerValue(v).decode(id)
		return err
	})
	return rec, err
}

func (b *boltPeer) verify(counts []uint64) error { return verifySome(b, counts) }

func (b *boltPeer) close() error {
	b.committer.close()
	return b.db.Close()
}

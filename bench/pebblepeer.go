package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sessionbridge/sessionbridge/store"
)

// pebblePeer is what a session store on Pebble would be: the same indexes as ours, under one-letter
// prefixes, in one synced batch for each set. Pebble shares the syncs among the writers itself.
type pebblePeer struct {
	dir   string
	db    *pebble.DB
	locks [1 << 16]sync.Mutex // by the first bytes of the key; held from the look at the stored revision to the commit
}

func newPebblePeer(dir string) engine { return &pebblePeer{dir: dir} }

func (p *pebblePeer) open() (err error) {
	p.db, err = pebble.Open(p.dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	return err
}

func (p *pebblePeer) fill(n int, progress func(int)) error {
	if err := p.open(); err != nil {
		return err
	}
	const piece = 1000
	for from := 0; from < n; from += piece {
		batch := p.db.NewBatch()
		for i := from; i < min(from+piece, n); i++ {
			rec, id := fileSession(i, 1, time.Now()), keyOf(i)
			put(batch, nil, encode(&rec), id[:])
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return errors.Join(err, p.close())
		}
		progress(from + piece)
	}
	// So that it doesn't do that while somebody is being measured.
	err := p.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false)
	return errors.Join(err, p.close())
}

func (p *pebblePeer) set(n int, count uint64) error {
	rec, id := fileSession(n, count, time.Now()), keyOf(n)
	value := encode(&rec)
	lock := &p.locks[binary.BigEndian.Uint16(id[:])]
	lock.Lock()
	defer lock.Unlock()
	stored, closer, err := p.db.Get(sessionKey(id))
	if err != nil {
		return err
	}
	old := peerValue(stored)
	batch := p.db.NewBatch()
	if old.revision() == rec.Revision {
		put(batch, old, value, id[:])
	} else {
		err = store.ErrConflict
	}
	if err = errors.Join(err, closer.Close()); err != nil {
		return err
	}
	return batch.Commit(pebble.Sync)
}

// put adds to the batch what storing the value changes. A batch in memory can't fail.
func put(batch *pebble.Batch, old, next peerValue, id []byte) {
	for _, e := range changedEntries(old, next, id) {
		if e.from != nil {
			_ = batch.Delete(append(e.index[:1:1], e.from...), nil)
		}
		_ = batch.Set(append(e.index[:1:1], e.to...), nil, nil)
	}
	_ = batch.Set(sessionKey(key(id)), next, nil)
}

func sessionKey(id key) []byte { return append(boltSessions[:1:1], id[:]...) }

func (p *pebblePeer) get(n int) (store.Record, error) {
	id := keyOf(n)
	v, closer, err := p.db.Get(sessionKey(id))
	if err != nil {
		return store.Record{}, err
	}
	rec, err := peerValue(v).decode(id)
	return rec, errors.Join(err, closer.Close())
}

func (p *pebblePeer) verify(counts []uint64) error { return verifySome(p, counts) }

func (p *pebblePeer) close() error { return p.db.Close() }

// quiet keeps what Pebble has to say out of the table, but for what is fatal.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic("pebble: " + fmt.Sprintf(format, args...)) }

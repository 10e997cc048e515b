package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// oursOnDisk is this library's store of files.
type oursOnDisk struct {
	path      string
	opts      filestore.Options
	store     *filestore.Store
	revisions []uint64 // as the writers, who each have sessions of their own, have kept them
	peak      int64    // bytes of heap while it was filled
}

func newOurs(dir string, opts filestore.Options) *oursOnDisk {
	return &oursOnDisk{path: filepath.Join(dir, "sessions.db"), opts: opts}
}

// fill creates the sessions as an application does, by many goroutines at once.
func (o *oursOnDisk) fill(n int, progress func(int)) error {
	o.revisions = make([]uint64, n)
	peak := watchHeap()
	defer func() { o.peak = peak() }()
	if err := o.open(); err != nil {
		return err
	}
	progress = counted(n, progress)
	err := inParallel(n, func(_, i int) error {
		defer progress(1)
		return o.set(i, 1)
	})
	return errors.Join(err, o.close())
}

func (o *oursOnDisk) open() (err error) {
	o.store, err = filestore.Open(o.path, &o.opts)
	return err
}

func (o *oursOnDisk) set(n int, count uint64) error {
	return o.put(fileSession(n, count, time.Now()), n)
}

func (o *oursOnDisk) put(rec store.Record, n int) (err error) {
	rec.Revision = o.revisions[n]
	o.revisions[n], err = o.store.Set(context.Background(), rec)
	return err
}

func (o *oursOnDisk) get(n int) (store.Record, error) {
	return o.store.Get(context.Background(), idOf(n))
}

func (o *oursOnDisk) verify(counts []uint64) error { return verifySome(o, counts) }

func (o *oursOnDisk) close() error { return o.store.Close() }

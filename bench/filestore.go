package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
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
}

func newOurs(dir string, opts filestore.Options) *oursOnDisk {
	return &oursOnDisk{path: filepath.Join(dir, "sessions.db"), opts: opts}
}

// fill creates the sessions as an application does, by many goroutines at once.
func (o *oursOnDisk) fill(n int, progress func(int)) error {
	o.revisions = make([]uint64, n)
	if err := o.open(); err != nil {
		return err
	}
	var mu sync.Mutex
	done := 0
	err := inParallel(n, func(i int) error {
		if err := o.set(i, 1); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if done++; done%1000 == 0 || done == n {
			progress(done)
		}
		return nil
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

// inParallel calls do for 0 to n-1, in 512 goroutines, and returns the first error.
func inParallel(n int, do func(i int) error) error {
	const width = 512
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	for w := range width {
		wg.Go(func() {
			for i := w; i < n; i += width {
				if err := do(i); err != nil {
					once.Do(func() { first = err })
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

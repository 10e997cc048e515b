package filestore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// database is the bbolt database, which has the sessions that no recent change is in the log of.
type database struct {
	disk disk
	path string

	mu   sync.RWMutex // held during a transaction; exclusively, to replace the file
	db   *bolt.DB     // nil: there is none
	lost error        // why there is none

	stuck atomic.Bool // a transaction has panicked and may hold a lock for ever
}

// openBolt maps the database into much address space or, if the process may not have that, into as
// much as it needs.
func openBolt(d disk, path string) (db *bolt.DB, err error) {
	defer recoverDamage(path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	opts := &bolt.Options{
		Timeout:         time.Second, // the process lock is held: nothing else should lock the file
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: virtualSize,
		OpenFile:        openFile,
		NoStatistics:    true,
	}
	db, err = d.Database(path, opts)
	if errors.Is(err, syscall.ENOMEM) {
		opts.InitialMmapSize = 0
		return d.Database(path, opts)
	}
	return db, err
}

// recoverDamage turns a panic into a *DamagedError: when its file is damaged, bbolt panics or reads
// memory that isn't mapped. It must be deferred before SetPanicOnFault is.
func recoverDamage(path string, err *error) {
	if p := recover(); p != nil {
		*err = &DamagedError{Path: path, Offset: -1, What: fmt.Sprintf("the database is unreadable: %v", p)}
	}
}

func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return nil
	}
	db := d.db
	d.db, d.lost = nil, store.ErrClosed
	if d.stuck.Load() {
		return fmt.Errorf("filestore: %s was damaged while it was open; it stays open until the process ends", d.path)
	}
	return db.Close()
}

// swap replaces the database by the file of that name.
func (d *database) swap(name string) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer recoverDamage(d.path, &err)
	if d.db == nil {
		return d.lost
	}
	err = d.db.Close() // first: Windows can't rename a file that is in use
	d.db, d.lost = nil, ErrFailed
	if err == nil {
		err = d.disk.Rename(name, d.path)
	}
	if err == nil {
		err = d.disk.SyncDir(filepath.Dir(d.path))
	}
	db, opened := openBolt(d.disk, d.path) // the new file, or the old one if something has failed
	if opened != nil {
		d.lost = fmt.Errorf("%w: open %s again: %w", ErrFailed, d.path, opened)
		return errors.Join(err, d.lost)
	}
	d.db, d.lost = db, nil
	return err
}

// view calls fn with a read transaction. It must be short: until it ends, pages that are freed
// can't be reused.
func (d *database) view(fn func(tx *bolt.Tx) error) error {
	return d.use(func(db *bolt.DB) error { return db.View(fn) })
}

// update calls fn with a write transaction and commits it.
func (d *database) update(fn func(tx *bolt.Tx) error) error {
	return d.use(func(db *bolt.DB) error { return update(d.disk, db, 8, fn) })
}

// update calls fn with a write transaction of db and commits it. If the file is too small it grows
// by at least a part of its size, because growing costs a sync.
func update(d disk, db *bolt.DB, part int64, fn func(tx *bolt.Tx) error) error {
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	db.AllocSize = int(min(max(tx.Size()/part, 128<<10), 16<<20))
	defer tx.Rollback() //nolint:errcheck // fails if it was committed, and only then
	if err := fn(tx); err != nil {
		return err
	}
	if err := d.Commit(tx); err != nil {
		return fmt.Errorf("write %s: %w", db.Path(), err)
	}
	return nil
}

// use calls fn with the database, which isn't replaced meanwhile.
func (d *database) use(fn func(db *bolt.DB) error) (err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return d.lost
	}
	defer recoverDamage(d.path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	panicked := true
	defer func() {
		if panicked {
			d.stuck.Store(true)
		}
	}()
	err = fn(d.db)
	panicked = false
	if errors.Is(err, errChecksum) {
		return &DamagedError{Path: d.path, Offset: -1, What: err.Error()}
	}
	return err
}

// metaArea contains both meta pages, whatever the page size is.
const metaArea = 128 << 10

// syncDatabase makes the database durable as it is read now. A process that was killed may have
// left changes in the page cache only, and the log must not be reused before they are durable.
// After a failed sync, the next one leaves out the pages of the first: so the meta pages are written
// again. Other pages that were lost do no harm, because no durable meta page refers to them. No
// write transaction may be open.
func syncDatabase(d disk, path string) error {
	f, err := d.Open(path)
	if err != nil {
		return err
	}
	var n int
	b := make([]byte, metaArea)
	if n, err = f.ReadAt(b, 0); err == nil || errors.Is(err, io.EOF) {
		_, err = f.WriteAt(b[:n], 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}

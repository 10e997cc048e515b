package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
)

// Open opens the store whose database is the file at the path. If there is none it creates one. The
// other files of the store are path + ".wal.0", ".wal.1" and ".lock". Files are created with mode
// 0600, folders with 0700. nil opts stand for the defaults.
//
// One process at a time can have the store open: for others, the error matches ErrLocked, after
// Options.LockWait. Open recovers what a crash has left. If the files are damaged, the error
// matches ErrDamaged, and nothing is changed.
func Open(path string, opts *Options) (*Store, error) {
	return open(osDisk{}, path, opts)
}

func open(d disk, path string, opts *Options) (_ *Store, err error) {
	options, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("filestore: Open needs the path of a file")
	}
	if path, err = filepath.Abs(path); err != nil { // the process may change its working directory
		return nil, fmt.Errorf("filestore: %w", err)
	}
	if err := makeDir(d, path); err != nil {
		return nil, fmt.Errorf("filestore: make the folder of %s: %w", path, err)
	}
	lock, err := acquireWithin(path, options.LockWait)
	if err != nil {
		return nil, err
	}
	e := &engine{
		opts: options, path: path, disk: d, lock: lock,
		compaction: ctxlock.New(), backup: ctxlock.New(),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.abandon())
		}
	}()
	if err := e.prepare(); err != nil {
		return nil, err
	}
	if err = syncDatabase(d, path); err == nil {
		err = d.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("filestore: sync %s: %w", path, err)
	}
	if e.database, err = openDatabase(d, path); err != nil {
		return nil, err
	}
	recovered, err := e.openLog()
	if err != nil {
		return nil, err
	}
	e.start(recovered)
	return &Store{engine: e, space: e.space("")}, nil
}

// abandon closes the files of a store that Open has failed to open.
func (e *engine) abandon() error {
	var errs []error
	if e.database != nil {
		errs = append(errs, e.database.close())
	}
	return errors.Join(append(errs, e.log.Close(), e.lock.release())...)
}

// prepare makes sure that there is a database, which is verified if it is small.
func (e *engine) prepare() error {
	logs := logNames(e.path)
	old := []string{e.path + newSuffix, e.path + backupSuffix} // of a process that has crashed
	if e.opts.Wipe {
		// The database is the last: a log without one would look like a store that has lost it.
		old = append(old, logs[0], logs[1], e.path)
	}
	for _, name := range old {
		if err := e.disk.Remove(name); err != nil {
			return fmt.Errorf("filestore: remove the files of an earlier run: %w", err)
		}
	}
	if e.opts.Wipe {
		if err := e.disk.SyncDir(filepath.Dir(e.path)); err != nil {
			return fmt.Errorf("filestore: wipe: %w", err)
		}
	}
	size, log, err := databaseSize(e.path)
	switch {
	case log != "":
		return fmt.Errorf("filestore: the database %s is missing, but its log %s exists: restore the database, "+
			"or remove the log (or set Options.Wipe) to start without sessions", e.path, log)
	case errors.Is(err, fs.ErrNotExist):
		if err = e.create(); err != nil {
			err = fmt.Errorf("filestore: create %s: %w", e.path, err)
		}
		return err
	case err != nil:
		return fmt.Errorf("filestore: %w", err)
	case size <= verifiedSize:
		r, err := verifyDatabase(e.path, e.opts.Progress)
		if err == nil && !r.OK() {
			first := r.Problems[0]
			err = &DamagedError{Path: first.File, Offset: first.Offset, What: first.What}
		}
		return err
	}
	return nil
}

// verifiedSize is the largest size of a database that Open verifies as a whole, which takes a
// fraction of a second. Damage of a larger one is found where it is read, and by Check.
const verifiedSize = 64 << 20

// databaseSize returns the size of the database. If there is none, the error matches
// fs.ErrNotExist, and log is the name of a log that has lost its database.
func databaseSize(path string) (size int64, log string, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range logNames(path) {
			if info, err := os.Lstat(name); err == nil && info.Size() > 0 {
				log = name
			}
		}
	}
	if err != nil {
		return 0, log, err
	}
	if !info.Mode().IsRegular() {
		return 0, "", fmt.Errorf("%s is not a regular file but %s", path, info.Mode().Type())
	}
	return info.Size(), "", nil
}

// create makes an empty database under another name first, so that a crash leaves a whole one or
// none.
func (e *engine) create() error {
	name := e.path + newSuffix
	db, err := openBolt(e.disk, name)
	if err != nil {
		return err
	}
	if err := errors.Join(update(e.disk, db, 8, head{}.put), db.Close()); err != nil {
		return errors.Join(err, e.disk.Remove(name))
	}
	if err := e.disk.Rename(name, e.path); err != nil {
		return err
	}
	return e.disk.SyncDir(filepath.Dir(e.path))
}

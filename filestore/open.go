package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// Open opens the store whose database is the file at the path, and makes it if there is none; with it come path + ".wal.0",
// ".wal.1" and ".lock". Files are made for their owner only (0600), and folders that aren't there, too (0700). nil opts: every
// default.
//
// One process at a time can have it open: the error for others matches ErrLocked. What a crash has left is recovered from. When the files
// are damaged, the error matches ErrDamaged, and nothing is changed.
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
	if path, err = filepath.Abs(path); err != nil { // the process may change its folder
		return nil, fmt.Errorf("filestore: %w", err)
	}
	if err := makeDir(d, path); err != nil {
		return nil, fmt.Errorf("filestore: make the folder of %s: %w", path, err)
	}
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	e := &engine{opts: options, path: path, disk: d, lock: lock, compaction: newExclusive(), backup: newExclusive()}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.abandon())
		}
	}()
	if err := e.prepare(); err != nil {
		return nil, err
	}
	if err := e.settle(); err != nil {
		return nil, err
	}
	if e.home, err = openHome(d, path); err != nil {
		return nil, err
	}
	recovered, err := e.openLog()
	if err != nil {
		return nil, err
	}
	e.start(recovered)
	return &Store{engine: e, space: e.space("")}, nil
}

// abandon closes what a failed Open has opened.
func (e *engine) abandon() error {
	var errs []error
	if e.home != nil {
		errs = append(errs, e.home.close())
	}
	return errors.Join(append(errs, e.committer.log.close(), e.lock.release())...)
}

// The files of a store, beside its database.
func logNames(path string) [2]string { return [2]string{path + ".wal.0", path + ".wal.1"} }

// newName is where a database is made that is to take the place of the store's.
func newName(path string) string { return path + ".new" }

// backupName is where a copy is that Backup sends.
func backupName(path string) string { return path + ".backup" }

// prepare sees to it that there is a database.
func (e *engine) prepare() error {
	logs := logNames(e.path)
	if e.opts.Wipe {
		// The database goes last: a log without it would look like a store whose database has been lost.
		for _, name := range []string{logs[0], logs[1], e.path} {
			if err := e.disk.Remove(name); err != nil {
				return fmt.Errorf("filestore: wipe: %w", err)
			}
		}
		if err := e.disk.SyncDir(filepath.Dir(e.path)); err != nil {
			return fmt.Errorf("filestore: wipe: %w", err)
		}
	}
	for _, name := range []string{newName(e.path), backupName(e.path)} { // of a process that has crashed
		if err := e.disk.Remove(name); err != nil {
			return fmt.Errorf("filestore: %w", err)
		}
	}
	info, err := os.Lstat(e.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.create(logs)
	case err != nil:
		return fmt.Errorf("filestore: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("filestore: %s is not a regular file but %s", e.path, info.Mode().Type())
	case info.Size() <= verifiedSize:
		return e.verify(info.Size())
	}
	return nil
}

// verifiedSize is up to what size a database is looked at as a whole before it is used, which takes a tenth of a second then. What is
// larger can be told to be damaged only where it is read, and by Check.
const verifiedSize = 64 << 20

func (e *engine) verify(size int64) error {
	f, err := openFile(e.path, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("filestore: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	_, err = verifyDatabase(f, size, e.path, e.opts.Progress)
	return err
}

// settle makes the database durable as it is read now, and its name. A process that was killed may have left both to the page
// cache only; the log, which is begun anew according to what the database says, must not be ahead of it. What a sync has failed
// for, the next one doesn't write, though it is read: so the meta pages are written once more. Of other pages that doesn't matter: no
// meta page refers to them then.
func (e *engine) settle() error {
	err := e.resettle()
	if err == nil {
		err = e.disk.SyncDir(filepath.Dir(e.path))
	}
	if err != nil {
		return fmt.Errorf("filestore: sync %s: %w", e.path, err)
	}
	return nil
}

// resettle is settle but for the name, also while the database is open and nothing is written to it.
func (e *engine) resettle() error {
	f, err := e.disk.Open(e.path)
	if err != nil {
		return err
	}
	if err = rewrite(f, 0, metaArea); err == nil {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}

// metaArea has both meta pages, whatever the size of a page is.
const metaArea = 128 << 10

// rewrite writes a part of the file as it is, as far as it is there.
func rewrite(f file, offset, n int64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	b := make([]byte, max(0, min(n, size-offset)))
	if _, err := f.ReadAt(b, offset); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = f.WriteAt(b, offset)
	return err
}

// create makes an empty database: under another name at first, so that there is none or a whole one.
func (e *engine) create(logs [2]string) error {
	for _, name := range logs {
		if info, err := os.Lstat(name); err == nil && info.Size() > 0 {
			return fmt.Errorf("filestore: %s isn't there, but its log %s is: put the database back, "+
				"or remove the log (or set Options.Wipe) to begin with no sessions", e.path, name)
		}
	}
	err := e.replace(func(db *bolt.DB) error {
		tx, err := db.Begin(true)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // an error if it has been committed, and no other
		if err := (head{}).put(tx); err != nil {
			return err
		}
		return e.disk.Commit(tx)
	})
	if err != nil {
		return fmt.Errorf("filestore: create %s: %w", e.path, err)
	}
	return nil
}

// replace has fill make a database under another name and puts it in the place of the store's.
func (e *engine) replace(fill func(*bolt.DB) error) error {
	name := newName(e.path)
	db, err := openDatabase(e.disk, name)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(db), db.Close()); err != nil {
		return errors.Join(err, e.disk.Remove(name))
	}
	if err := e.disk.Rename(name, e.path); err != nil {
		return err
	}
	return e.disk.SyncDir(filepath.Dir(e.path))
}

// openLog recovers what the log has, or begins a new one if the store was closed. It returns the first checkpoint that is to be made.
func (e *engine) openLog() (*checkpoint, error) {
	hd, err := e.home.head()
	if err != nil {
		return nil, err
	}
	e.checkpointer.log = hd.log
	log := &e.committer.log
	for i, name := range logNames(e.path) {
		s, err := openSegment(e.disk, name, e.segmentLimit())
		if err != nil {
			return nil, fmt.Errorf("filestore: open the log: %w", err)
		}
		log.segments[i] = s
	}
	if !hd.open {
		return nil, e.beginLog(hd)
	}
	rec, err := e.recover(hd)
	if err != nil {
		return nil, err
	}
	*log = rec.log
	if rec.changes > 0 || rec.cut > 0 {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelWarn, "the session store was not closed; what its log has is recovered",
			slog.String("path", e.path), slog.Int("changes", rec.changes), slog.Int64("unfinished_bytes", rec.cut))
	} else if hd.log >= log.active.base && !hd.midway {
		return nil, nil
	}
	// Also if there is nothing to bring into the database: it must say that it doesn't need the other segment any more.
	for sp, frozen := range rec.frozen {
		sp.layers.Store(&layers{active: newOverlay(), frozen: frozen})
	}
	return &checkpoint{at: log.position(), frozen: rec.frozen}, nil
}

// beginLog begins a log of a store that was closed. Only when it is there is the database told.
func (e *engine) beginLog(hd head) error {
	log := &e.committer.log
	log.id = newLogID()
	for _, s := range log.segments {
		if s.size > s.limit { // the limit was another one
			if err := s.shrink(); err != nil {
				return fmt.Errorf("filestore: begin the log: %w", err)
			}
		}
	}
	if err := log.start(log.segments[0], hd.log); err != nil {
		return fmt.Errorf("filestore: begin the log: %w", err)
	}
	if err := e.disk.SyncDir(filepath.Dir(e.path)); err != nil {
		return fmt.Errorf("filestore: begin the log: %w", err)
	}
	if err := e.mark(head{open: true, id: log.id, log: hd.log}); err != nil {
		return fmt.Errorf("filestore: begin the log: %w", err)
	}
	return nil
}

// mark writes the head.
func (e *engine) mark(hd head) error { return e.home.update(hd.put) }

// markClosed says that the log isn't needed.
func (e *engine) markClosed() error {
	log := &e.committer.log
	return e.mark(head{id: log.id, log: log.position()})
}

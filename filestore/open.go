package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
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
	lock, err := acquire(path, options.LockWait)
	if err != nil {
		return nil, err
	}
	e := newEngine(d, path, options, lock)
	defer func() {
		if err != nil {
			err = errors.Join(err, e.release())
		}
	}()
	if err := e.prepare(); err != nil {
		return nil, err
	}
	if err = syncDatabase(d, path); err == nil {
		err = d.SyncDir(filepath.Dir(path)) // a process that was killed may have renamed the database
	}
	if err != nil {
		return nil, wrap("sync "+path, err)
	}
	db, err := openBolt(d, path)
	if err != nil {
		return nil, wrap("open "+path, err)
	}
	e.database = &database{disk: d, path: path, db: db}
	recovered, err := e.openLog()
	if err != nil {
		return nil, err
	}
	e.start(recovered)
	return &Store{engine: e, space: e.space("")}, nil
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
			return wrap("remove the files of an earlier run", err)
		}
	}
	if e.opts.Wipe {
		if err := e.disk.SyncDir(filepath.Dir(e.path)); err != nil {
			return wrap("wipe", err)
		}
	}
	switch size, err := databaseSize(e.path); {
	case errors.Is(err, fs.ErrNotExist):
		return wrap("create "+e.path, e.create())
	case err != nil:
		return fmt.Errorf("filestore: %w", err)
	case size <= verifiedSize:
		r, err := verifyDatabase(e.path)
		if err == nil && !r.OK() {
			err = r.Problems[0]
		}
		return err
	}
	return nil
}

// verifiedSize is the largest size of a database that Open verifies as a whole, which takes a
// fraction of a second. Damage of a larger one is found where it is read, and by Check.
const verifiedSize = 64 << 20

// databaseSize returns the size of the database. If neither it nor a log of it exists, the error
// matches fs.ErrNotExist.
func databaseSize(path string) (int64, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range logNames(path) {
			if info, err := os.Lstat(name); err == nil && info.Size() > 0 {
				return 0, fmt.Errorf("the database %s is missing, but its log %s exists: restore the database, "+
					"or remove the log (or set Options.Wipe) to start without sessions", path, name)
			}
		}
		return 0, fmt.Errorf("there is no session store: %w", err)
	}
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is not a regular file but %s", path, info.Mode().Type())
	}
	return info.Size(), nil
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

// logNames returns the names of the log files.
func logNames(path string) [2]string { return [2]string{path + ".wal.0", path + ".wal.1"} }

// openLog recovers the changes in the log, or begins a new log if the store was closed. It returns
// the first checkpoint, nil if none is needed.
func (e *engine) openLog() (*checkpoint, error) {
	hd, err := e.database.head()
	if err != nil {
		return nil, err
	}
	e.checkpointer.log = hd.log
	cfg := wal.Config{Names: logNames(e.path), Open: e.disk.Open, Limit: e.opts.segmentLimit()}
	if e.log, err = wal.Open(cfg); err != nil {
		return nil, wrap("open the log", err)
	}
	if !hd.open {
		return nil, e.beginLog(hd)
	}
	r := &recovery{engine: e, frozen: make(map[*space]*overlay), midway: hd.midway}
	torn, err := e.log.Replay(hd.id, hd.log, r.replay)
	if err != nil {
		return nil, wrap("recover", err)
	}
	if r.changes > 0 || torn > 0 {
		e.opts.Logger.LogAttrs(context.Background(), slog.LevelWarn,
			"the session store was not closed; the changes in its log are recovered",
			slog.Int("changes", r.changes), slog.Int64("unfinished_bytes", torn))
	} else if hd.log >= e.log.Base() && !hd.midway {
		return nil, nil
	}
	for sp, frozen := range r.frozen {
		sp.layers.Store(&layers{active: newOverlay(), frozen: frozen})
	}
	// Without changes, too, the database must record that it doesn't need the other log file.
	return &checkpoint{at: e.log.Position(), frozen: r.frozen}, nil
}

// beginLog begins the log of a store that was closed. The log is durable before the database refers
// to it.
func (e *engine) beginLog(hd head) error {
	err := e.log.Create(hd.log)
	if err == nil {
		err = e.disk.SyncDir(filepath.Dir(e.path))
	}
	if err == nil {
		err = e.database.update(head{open: true, id: e.log.ID(), log: hd.log}.put)
	}
	return wrap("begin the log", err)
}

// recovery collects the changes that the log has and the database doesn't.
type recovery struct {
	engine  *engine
	frozen  map[*space]*overlay
	midway  bool // a checkpoint was interrupted: the indexes may be ahead of the sessions
	changes int
}

// replay applies the changes of a group.
func (r *recovery) replay(payload []byte, n int) error {
	r.changes += n
	return entries(payload, n, r.apply)
}

func (r *recovery) apply(en *entry) error {
	sp := r.engine.space(string(en.app))
	frozen := r.frozen[sp]
	if frozen == nil {
		frozen = newOverlay()
		r.frozen[sp] = frozen
	}
	var old *version
	v := &version{value: en.value, due: never}
	switch en.kind {
	case putEntry:
		v.due = en.value.expiry()
	case touchEntry:
		var err error
		if old = frozen.latest(en.key); old == nil {
			if old, err = sp.load(r.engine.database, en.key); err != nil {
				return err
			}
		}
		switch {
		case old == nil || old.value == nil || old.value.seen() > en.seen:
			return nil
		case old.value.seen() == en.seen: // the sweep has moved the index entry
			v.value, v.due = old.value, old.value.expiry()
		default:
			v.value = append(value(nil), old.value...)
			v.value.setTime(atSeen, en.seen)
			v.value.setTime(atExpires, en.expires)
			v.due = min(old.due, v.value.expiry())
		}
	}
	s, _ := frozen.stage(en.key, v)
	s.publish()
	if v.value == nil {
		return nil
	}
	if r.midway {
		at := place{v.due, granuleOf(v.value.seen()), en.value}
		moved := at
		moved.due = v.value.expiry() // by a sweep
		s.base.former = append(s.base.former, at, moved)
	}
	if old == nil { // a touch keeps the user and the client
		frozen.indexOwner(en.key, v)
	}
	if r.midway {
		old = nil // the database may have lost its index entry
	}
	frozen.indexDue(en.key, old, v)
	return nil
}

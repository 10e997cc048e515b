package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Check reads the whole store whose database is the file at the path, and looks at everything in it: every page and every session
// of the database, whether the indexes have them all and nothing else, and every change that is in the log only. It changes nothing; it
// doesn't even recover what a crash has left. progress, if it is given, is called now and then.
//
// Damage is in the report, not in the error. The error says why the store couldn't be looked at: there is none (it matches
// fs.ErrNotExist), or it is in use (it matches ErrLocked); a copy that Backup has made of it can be checked then.
func Check(path string, progress ...func(Progress)) (_ *Report, err error) {
	lock, err := lockToRead(path)
	if err != nil {
		return nil, fmt.Errorf("filestore: check: %w", err)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	r := &Report{Path: path}
	hd, err := r.checkDatabase(firstOf(progress))
	if err == nil {
		err = r.checkLog(hd)
	}
	if err != nil {
		return nil, fmt.Errorf("filestore: check: %w", err)
	}
	return r, nil
}

// lockToRead takes the lock of a store that must be there.
func lockToRead(path string) (*processLock, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, name := range logNames(path) {
			if _, logErr := os.Lstat(name); logErr == nil {
				return nil, fmt.Errorf("the database is missing, though its log is there: %w", err)
			}
		}
		return nil, fmt.Errorf("there is no session store: %w", err)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file but %s", path, info.Mode().Type())
	}
	return acquire(path)
}

// openToRead opens a file that is only read.
func openToRead(name string) (file, int64, error) {
	f, err := openFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, 0, err
	}
	size, err := osFile{f}.Size()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return osFile{f}, size, nil
}

// checkDatabase returns the head, nil if it can't be read.
func (r *Report) checkDatabase(tell func(Progress)) (*head, error) {
	f, size, err := openToRead(r.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	db, _ := verifyDatabase(f, size, r.Path, tell)
	r.Sessions, r.Apps = db.sessions, db.apps
	r.Pages, r.FreePages, r.Bytes = db.pages, db.free, db.bytes
	r.report(db.problems)
	if db.spare != nil {
		r.note("meta page %d can't be used (%v): the store goes by meta page %d", 1-db.meta, db.spare, db.meta)
	}
	if db.head != nil && db.head.midway {
		r.note("a crash came in the middle of a checkpoint: the indexes are ahead of the sessions until the next Open, and weren't compared with them")
	}
	if db.wasted > 0 {
		r.note("%s of the database are neither in use nor free; Optimize makes a database without them", count(db.wasted, "page"))
	}
	return db.head, nil
}

func (r *Report) report(p problems) {
	r.Problems = append(r.Problems, p.list...)
	r.More += p.more
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

package filestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// Repair reads what can be read of the store whose database is the file named from, and writes it into a new store of the
// other name, which must not exist. It changes nothing of the old one. progress, if it is given, is called now and then.
//
// Saved are the sessions whose checksum is right, with the changes that are in the log only; the indexes are made anew. Nothing is
// read that the database has freed, because destroyed sessions are there. What was lost is in the report: if it was part of the log, a
// logout may have been among it, and the session is open again in the new store; the report warns of that.
//
// The error says why there is no new store: there is no old one (it matches fs.ErrNotExist), one of them is in use (ErrLocked), or
// nothing of the old one can be relied on (ErrDamaged).
func Repair(from, to string, progress ...func(Progress)) (_ *RepairReport, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("filestore: repair: %w", err)
		}
	}()
	oldLock, err := lockToRead(from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, oldLock.release()) }()
	newLock, err := lockToMake(to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, newLock.release()) }()

	r := &RepairReport{From: from, To: to}
	if err := r.repair(firstOf(progress)); err != nil {
		return nil, err
	}
	return r, nil
}

// lockToMake takes the lock of a store that must not be there.
func lockToMake(path string) (*processLock, error) {
	if err := makeDir(osDisk{}, path); err != nil {
		return nil, err
	}
	logs := logNames(path)
	for _, name := range []string{path, logs[0], logs[1]} {
		if _, err := os.Lstat(name); err == nil {
			return nil, fmt.Errorf("%s is there already: it is left as it is, give a name that isn't", name)
		}
	}
	return acquire(path)
}

func (r *RepairReport) repair(tell func(Progress)) (err error) {
	db, size, err := openToRead(r.From)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // nothing was written
	segments, err := openLogToRead(r.From)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(segments)) }()

	s := salvage{report: r, problems: problems{file: r.From}, tell: tell}
	if err := s.open(db, size); err != nil {
		return err
	}
	if s.log, err = r.readLog(s.head, segments); err != nil {
		return err
	}
	e := &engine{disk: osDisk{}, path: r.To}
	if err := e.disk.Remove(newName(r.To)); err != nil {
		return err
	}
	if err := e.replace(func(db *bolt.DB) error { return s.save(db) }); err != nil {
		return err
	}
	r.Problems = append(s.problems.list, r.Problems...)
	r.More += s.problems.more
	return r.confirm()
}

// save writes the new database.
func (s *salvage) save(db *bolt.DB) error {
	db.NoSync = true // until the last transaction, whose sync is for all of them
	s.writer = repairWriter{home: &home{disk: osDisk{}, path: newName(s.report.To), db: db}, spaces: make(map[string]*space)}
	if err := s.sessions(); err != nil {
		return err
	}
	if err := s.created(); err != nil {
		return err
	}
	if err := s.writer.flush(); err != nil {
		return err
	}
	s.report.Sessions = s.writer.saved
	s.warn()
	db.NoSync = false
	return s.writer.home.update(head{}.put)
}

// confirm looks at the new database.
func (r *RepairReport) confirm() error {
	f, size, err := openToRead(r.To)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if _, err := verifyDatabase(f, size, r.To, func(Progress) {}); err != nil {
		return err
	}
	return osDisk{}.SyncDir(filepath.Dir(r.To))
}

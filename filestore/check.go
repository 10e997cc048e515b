package filestore

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// Check reads the whole store whose database is the file at the path: every page and every session
// of the database, whether the indexes have exactly these sessions, and the changes that only the
// log has. It changes nothing; it doesn't recover what a crash has left, either. The optional
// progress function is called every 100 ms.
//
// Damage is in the report, not in the error. The error says why the store can't be checked: there
// is none (it matches fs.ErrNotExist), or it is in use (ErrLocked). To check a store in use, check
// a copy that Backup has made.
func Check(path string, progress ...func(Progress)) (_ *Report, err error) {
	lock, err := lockExisting(path)
	if err != nil {
		return nil, fmt.Errorf("filestore: check: %w", err)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	var report func(Progress)
	if len(progress) > 0 {
		report = progress[0]
	}
	r, err := verifyDatabase(path, report)
	if err == nil {
		err = r.checkLog()
	}
	if err != nil {
		return nil, fmt.Errorf("filestore: check: %w", err)
	}
	return r, nil
}

// lockExisting takes the lock of a store that must exist.
func lockExisting(path string) (*processLock, error) {
	switch _, log, err := databaseSize(path); {
	case log != "":
		return nil, fmt.Errorf("the database is missing, though its log exists: %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no session store: %w", err)
	case err != nil:
		return nil, err
	}
	return acquire(path)
}

// checkLog reads the log as the recovery would.
func (r *Report) checkLog() (err error) {
	log, err := wal.Open(wal.Config{Names: logNames(r.Path), Open: openReadOnly, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r.LogBytes = log.Size()
	switch {
	case r.head == nil:
		r.note("the log wasn't checked, because its position isn't known")
		return nil
	case !r.head.open:
		r.Clean = true
		return nil
	}
	r.TornTail, err = log.Verify(r.head.id, r.head.log, func(payload []byte, n int) error {
		if ok, _ := entries(payload, n, func(*entry) error { return nil }); !ok {
			return errEntries
		}
		r.LogChanges += int64(n)
		return nil
	})
	var damaged *wal.DamagedError
	if errors.As(err, &damaged) {
		r.add(damaged.Path, damaged.Offset, damaged.Reason)
		return nil
	}
	return err
}

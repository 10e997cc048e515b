package filestore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// Check reads the whole store whose database is the file at the path: every page and every session
// of the database, whether the indexes have exactly these sessions, and the changes that only the
// log has. It changes nothing; it doesn't recover what a crash has left, either.
//
// Damage is in the report, not in the error. The error says why the store can't be checked: there
// is none (it matches fs.ErrNotExist), or it is in use (ErrLocked). To check a store in use, check
// a copy that Backup has made.
func Check(path string) (r *Report, err error) {
	defer func() { err = wrap("check", err) }()
	if _, err := databaseSize(path); err != nil {
		return nil, err
	}
	lock, err := acquire(path, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if r, err = verifyDatabase(path); err == nil {
		err = r.checkLog()
	}
	return r, err
}

// checkLog reads the log as the recovery would, if its position is known.
func (r *Report) checkLog() (err error) {
	if r.Clean = r.head != nil && !r.head.open; r.head == nil || r.Clean {
		return nil
	}
	log, err := wal.Open(wal.Config{Names: logNames(r.Path), Open: openReadOnly, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r.TornTail, err = log.Verify(r.head.id, r.head.log, func(payload []byte, n int) error {
		r.LogChanges += int64(n)
		return entries(payload, n, func(*entry) error { return nil })
	})
	var damaged *wal.DamagedError
	if errors.As(err, &damaged) {
		r.add(damaged.Path, damaged.Offset, damaged.Reason)
		return nil
	}
	return err
}

// Report is the result of Check.
type Report struct {
	Path     string
	Sessions int64 // valid ones in the database
	Apps     int64 // that have sessions

	Clean      bool  // the store was closed: the log isn't needed
	LogChanges int64 // in the log and not in the database: the next Open recovers them
	TornTail   int64 // about the bytes of unfinished changes at the end of the log, which were not acknowledged

	Problems []*DamagedError // the first hundred

	head *head // nil: it can't be read
}

// OK reports whether no damage was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// String describes the store in some lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  sessions: %d\n  apps: %d\n  closed: %v\n", r.Path, r.Sessions, r.Apps, r.Clean)
	fmt.Fprintf(&b, "  changes that only the log has: %d\n  bytes of unfinished changes: %d\n", r.LogChanges, r.TornTail)
	fmt.Fprintf(&b, "  problems: %d\n", len(r.Problems))
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "    %s\n", p.short())
	}
	return b.String()
}

const maxProblems = 100

// add adds a problem, unless there are many.
func (r *Report) add(file string, offset int64, what string) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, &DamagedError{file, offset, what})
	}
}

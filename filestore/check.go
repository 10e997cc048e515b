package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// Check reads the whole store whose database is the file at the path: the pages with bbolt's own
// check, the sessions, the indexes, and the changes that only the log has. It changes nothing, and
// doesn't recover what a crash has left. The optional progress function is called every 100 ms.
//
// A badly damaged database may end the process, or take all its memory: run the command
// filestore/cmd/checkdb instead.
//
// The report has the damage; the error says why the store can't be checked: there is none (it
// matches fs.ErrNotExist), or it is in use (ErrLocked). To check a store in use, check a copy that
// Backup has made.
func Check(path string, progress ...func(Progress)) (_ *Report, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("filestore: check: %w", err)
		}
	}()
	switch _, log, err := databaseSize(path); {
	case log != "":
		return nil, fmt.Errorf("the database is missing, though its log exists: %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no session store: %w", err)
	case err != nil:
		return nil, err
	}
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	var report func(Progress)
	if len(progress) > 0 {
		report = progress[0]
	}
	r, err := verifyDatabase(path, report)
	if err == nil && r.head != nil {
		err = r.checkLog()
	}
	return r, err
}

// checkLog reads the log as the recovery would.
func (r *Report) checkLog() (err error) {
	if r.Clean = !r.head.open; r.Clean {
		return nil
	}
	log, err := wal.Open(wal.Config{Names: logNames(r.Path), Open: openReadOnly, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r.TornTail, err = log.Replay(r.head.id, r.head.log, func(payload []byte, n int) error {
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
	Path       string
	Bytes      int64           // of the database's file
	Sessions   int64           // valid ones in the database
	Apps       int64           // that have sessions
	Clean      bool            // the store was closed: the log isn't needed
	LogChanges int64           // that only the log has: the next Open recovers them
	TornTail   int64           // about the bytes of unfinished changes in the log, which were not acknowledged
	Problems   []*DamagedError // the first hundred

	head *head // nil: it can't be read
}

const maxProblems = 100

func (r *Report) add(file string, offset int64, what string) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, &DamagedError{Path: file, Offset: offset, What: what})
	}
}

// OK reports whether no damage was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// String describes the store in some lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: sessions: %d; apps: %d; size: %d KiB\n", r.Path, r.Sessions, r.Apps, r.Bytes>>10)
	if r.Clean {
		b.WriteString("log: not needed, the store was closed\n")
	} else {
		fmt.Fprintf(&b, "log: changes that the database doesn't have yet: %d; bytes of unfinished ones: %d\n",
			r.LogChanges, r.TornTail)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "problem: %s%s: %s\n", p.Path, p.at(), p.What)
	}
	if r.OK() {
		b.WriteString("no damage was found\n")
	} else {
		b.WriteString("the store is damaged. Restore a backup, or see docs/filestore.md\n")
	}
	return b.String()
}

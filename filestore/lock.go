package filestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// processLock prevents other processes from opening the store. It has a file of its own, because
// Optimize replaces the database by another file. The operating system releases the lock when the
// process ends, however it ends; the file stays.
type processLock struct{ file *os.File }

// errHeld is the error of tryLock if another process has the lock.
var errHeld = errors.New("held by another process")

// lockRetry is the interval at which acquire tries.
const lockRetry = 20 * time.Millisecond

// acquire takes the lock of the store. If another process has it for that long, the error is a
// *LockedError.
func acquire(path string, patience time.Duration) (*processLock, error) {
	f, err := openFile(path+".lock", os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, wrap("lock", err)
	}
	until := time.Now().Add(patience)
	for err = tryLock(f); errors.Is(err, errHeld) && time.Until(until) > 0; err = tryLock(f) {
		time.Sleep(min(lockRetry, time.Until(until)))
	}
	if errors.Is(err, errHeld) {
		defer f.Close() //nolint:errcheck // it was only read
		return nil, &LockedError{Path: path, PID: holder(f)}
	}
	l := &processLock{f}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	if err != nil {
		return nil, errors.Join(wrap("lock "+f.Name(), err), l.release())
	}
	return l, nil
}

// holder returns the process ID in the file, or 0 if there is none.
func holder(f *os.File) int {
	pid := 0
	_, _ = fmt.Fscan(io.NewSectionReader(f, 0, 32), &pid)
	return pid
}

// release unlocks the file before it closes it. A child process that another goroutine is starting
// has a copy of the descriptor until it executes its program, and would prolong the lock.
func (l *processLock) release() error { return errors.Join(unlock(l.file), l.file.Close()) }

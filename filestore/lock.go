package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// processLock prevents other processes from opening the store. It has a file of its own, because
// Optimize replaces the database by another file. The operating system releases the lock when the
// process ends, however it ends; the file stays.
type processLock struct{ file *os.File }

// errHeld is the error of tryLock if another process has the lock.
var errHeld = errors.New("held by another process")

// lockRetry is the interval at which acquireWithin tries.
const lockRetry = 20 * time.Millisecond

// acquireWithin is acquire with retries until the duration has passed.
func acquireWithin(path string, patience time.Duration) (*processLock, error) {
	until := time.Now().Add(patience)
	for {
		l, err := acquire(path)
		left := time.Until(until)
		if err == nil || !errors.Is(err, ErrLocked) || left <= 0 {
			return l, err
		}
		time.Sleep(min(lockRetry, left))
	}
}

// acquire takes the lock of the store, or fails at once with a *LockedError.
func acquire(path string) (*processLock, error) {
	f, err := openFile(path+".lock", os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("filestore: lock: %w", err)
	}
	if err := tryLock(f); err != nil {
		pid := holder(f)
		_ = f.Close()
		if errors.Is(err, errHeld) {
			return nil, &LockedError{Path: path, PID: pid}
		}
		return nil, fmt.Errorf("filestore: lock %s: %w", f.Name(), err)
	}
	l := &processLock{f}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("filestore: lock %s: %w", f.Name(), err), l.release())
	}
	return l, nil
}

// sign writes the process ID into the file.
func (l *processLock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}

// holder returns the process ID in the file, or 0 if there is none.
func holder(f *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	return pid
}

// release unlocks the file before it closes it. A child process that another goroutine is starting
// has a copy of the descriptor until it executes its program, and would prolong the lock.
func (l *processLock) release() error { return errors.Join(unlock(l.file), l.file.Close()) }

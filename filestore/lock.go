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

// processLock keeps every other process from opening the store. It is a file of its own, because the database is replaced by
// another file when it is compacted. The operating system gives it up when the process ends, however it ends; the file stays.
type processLock struct{ file *os.File }

// errHeld is what tryLock returns when somebody else has the lock.
var errHeld = errors.New("held by another process")

// lockRetry is how often acquireWithin tries.
const lockRetry = 20 * time.Millisecond

// acquireWithin is acquire, which it tries again for that long.
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

// sign says in the file who has the lock.
func (l *processLock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}

// holder returns what sign has written, 0 if it can't be read.
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

// release gives the lock up before it closes the file: a child process that another goroutine is just starting has a copy of the
// descriptor until its program begins, and the lock would last as long.
func (l *processLock) release() error { return errors.Join(unlock(l.file), l.file.Close()) }

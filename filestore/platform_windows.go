package filestore

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// virtualSize is 0: Windows makes a file as large as its mapping.
const virtualSize = 0

// openFile is os.OpenFile, but refuses symbolic links: with one, another user who may write to the
// folder could redirect our writes.
func openFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: give the path of the file itself", name)
	}
	return os.OpenFile(name, flag, mode)
}

// isFull reports whether the disk is full.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// syncDir does nothing: Windows can't sync a folder, and journals its names.
func syncDir(string) error { return nil }

// lockedByte returns a place far behind the end of the file: other processes can't read a locked
// byte.
func lockedByte() *windows.Overlapped { return &windows.Overlapped{OffsetHigh: 1} }

// tryLock takes an exclusive lock that ends when the file is closed.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, lockedByte())
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	return err
}

func unlock(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, lockedByte())
}

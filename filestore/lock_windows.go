package filestore

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes an exclusive lock that ends when the file is closed. It locks a byte far behind the
// end of the file, because other processes can't read a locked byte.
func tryLock(f *os.File) error {
	far := lockedByte()
	flags := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY)
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &far)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	return err
}

func unlock(f *os.File) error {
	far := lockedByte()
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &far)
}

func lockedByte() windows.Overlapped { return windows.Overlapped{OffsetHigh: 1} }

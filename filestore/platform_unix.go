//go:build unix

package filestore

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// virtualSize is the address space that the database is mapped into. As long as it suffices the
// database isn't mapped again when it grows, which would block all readers.
const virtualSize = 1 << (30 + 6*(^uint(0)>>63)) // 64 GiB; 1 GiB on 32-bit systems

// openFile is os.OpenFile, but refuses symbolic links: with one, another user who may write to the
// folder could redirect our writes.
func openFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag|unix.O_NOFOLLOW, mode) //nolint:gosec // the caller chooses the file
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: give the path of the file itself: %w", name, err)
	}
	return f, err
}

// isFull reports whether the disk is full, or the owner's quota is used up.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // likewise
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // it is only synced
	return d.Sync()
}

// tryLock takes an exclusive lock that ends with unlock, or when the last copy of the descriptor
// is closed.
func tryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) //nolint:gosec // a descriptor is a small number
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errHeld
	}
	return err
}

func unlock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_UN) //nolint:gosec // a descriptor is a small number
}

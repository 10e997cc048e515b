//go:build unix

package filestore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// virtualSize is the address space that the database is mapped into. As long as it suffices the
// database isn't mapped again when it grows, which would block all readers.
const virtualSize = 1 << (30 + 6*(^uint(0)>>63)) // 64 GiB; 1 GiB on 32-bit systems

// openFile is os.OpenFile, but refuses symbolic links: with one, another user who may write to the
// folder could redirect our writes.
func openFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag|syscall.O_NOFOLLOW, mode) //nolint:gosec // the caller chooses the file
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: give the path of the file itself: %w", name, err)
	}
	return f, err
}

// isFull reports whether the disk is full, or the owner's quota is used up.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // likewise
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // it is only synced
	return d.Sync()
}

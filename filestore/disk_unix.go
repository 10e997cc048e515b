//go:build unix

package filestore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// virtualSize is how much address space the database is mapped into, so that it needn't be mapped anew when it grows: that
// waits for everybody who is reading.
const virtualSize = 1 << (30 + 6*(^uint(0)>>63)) // 64 GiB, 1 GiB where a pointer has 32 bits

// openFile is os.OpenFile, but for symbolic links: whoever may write to the folder could otherwise have us write elsewhere.
func openFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag|syscall.O_NOFOLLOW, mode) //nolint:gosec // the caller's choice of a file
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: give the path of the file itself: %w", name, err)
	}
	return f, err
}

// isFull reports whether err says that the disk, or what of it the owner may use, is full.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // likewise
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // nothing was written through it
	return d.Sync()
}

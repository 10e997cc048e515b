package filestore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
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

// The errors of Windows for a full disk.
const (
	handleDiskFull = syscall.Errno(39)
	diskFull       = syscall.Errno(112)
)

// isFull reports whether the disk is full.
func isFull(err error) bool { return errors.Is(err, diskFull) || errors.Is(err, handleDiskFull) }

// syncDir does nothing: Windows can't sync a folder, and journals its names.
func syncDir(string) error { return nil }

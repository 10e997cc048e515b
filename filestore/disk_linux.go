package filestore

import (
	"errors"
	"os"
	"syscall"
)

// syncData calls fdatasync, which syncs the size if it has changed, but not the times.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd())) //nolint:gosec // a descriptor is a small number
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

package main

import (
	"errors"
	"os"
	"syscall"
)

// syncData makes what was written to the file durable.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(
			int(f.Fd()),
		); !errors.Is(
			err,
			syscall.EINTR,
		) { //nolint:gosec // a descriptor is a small number
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// syncAll makes everything durable that anybody has written.
func syncAll() { syscall.Sync() }

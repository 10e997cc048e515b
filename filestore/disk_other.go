//go:build !linux

package filestore

import "os"

// syncData calls File.Sync, which on macOS is F_FULLFSYNC.
func syncData(f *os.File) error { return f.Sync() }

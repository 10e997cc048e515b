//go:build !linux

package filestore

import "os"

// syncData is File.Sync: on macOS a real one, F_FULLFSYNC.
func syncData(f *os.File) error { return f.Sync() }

package filestore

import (
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// disk is the file system as this package uses it. Tests put one in its place whose nth operation fails, or that loses what
// wasn't synced.
type disk interface {
	// Open opens the file for reading and writing, and makes it, for its owner only, if it isn't there. It doesn't follow a
	// symbolic link.
	Open(name string) (file, error)
	// Rename puts a file in the place of another.
	Rename(from, to string) error
	// Remove removes a file; one that isn't there is no error.
	Remove(name string) error
	// SyncDir makes the names in the folder durable.
	SyncDir(dir string) error
	// Database opens the database.
	Database(name string, opts *bolt.Options) (*bolt.DB, error)
	// Commit commits a transaction of a database that Database has opened.
	Commit(tx *bolt.Tx) error
}

// file is an open file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes what was written durable, and the size.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
}

// osDisk is the disk of the operating system.
type osDisk struct{}

const (
	fileMode = 0o600
	dirMode  = 0o700
)

func (osDisk) Open(name string) (file, error) {
	f, err := openFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) Remove(name string) error {
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (osDisk) SyncDir(dir string) error { return syncDir(dir) }

func (osDisk) Database(name string, opts *bolt.Options) (*bolt.DB, error) {
	return bolt.Open(name, fileMode, opts)
}

func (osDisk) Commit(tx *bolt.Tx) error { return tx.Commit() }

type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// makeDir makes the folder that the file is to be in, and those above it, and makes their names durable.
func makeDir(d disk, name string) error {
	dir := filepath.Dir(name)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeDir(d, dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !os.IsExist(err) {
		return err
	}
	return d.SyncDir(filepath.Dir(dir))
}

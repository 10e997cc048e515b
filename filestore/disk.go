package filestore

import (
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/filestore/internal/wal"
)

// disk is the file system. Tests replace it by one whose nth operation fails, or that loses what
// wasn't synced.
type disk interface {
	// Open opens the file for reading and writing. If it doesn't exist it is created for its owner
	// only. Symbolic links are not followed.
	Open(name string) (file, error)
	// Rename replaces the file "to" by the file "from".
	Rename(from, to string) error
	// Remove removes a file. It is no error if the file doesn't exist.
	Remove(name string) error
	// SyncDir makes the names in the folder durable.
	SyncDir(dir string) error
	// Database opens a database.
	Database(name string, opts *bolt.Options) (*bolt.DB, error)
	// Commit commits a transaction of a database that Database has opened.
	Commit(tx *bolt.Tx) error
}

type file = wal.File

// osDisk is the disk of the operating system.
type osDisk struct{}

const (
	fileMode = 0o600
	dirMode  = 0o700
)

func (osDisk) Open(name string) (file, error) { return openOS(name, os.O_RDWR|os.O_CREATE) }

// openReadOnly opens a file of the log for Check.
func openReadOnly(name string) (file, error) { return openOS(name, os.O_RDONLY) }

func openOS(name string, flag int) (file, error) {
	f, err := openFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) Remove(name string) error {
	err := os.Remove(name)
	if os.IsNotExist(err) {
		return nil
	}
	return err
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

// makeDir creates the folder of the file, with its parents, and makes their names durable.
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

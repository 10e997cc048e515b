package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// bbolt opens its file by itself. What it writes is seen by putting a function in the place of its own, in an unexported field;
// what it syncs follows from its protocol: a commit makes the file longer and syncs that, if it must, writes pages, syncs them, writes
// one of the two meta pages, and syncs that.

// Database opens a database of bbolt that writes to this disk.
func (d *crashDisk) Database(name string, opts *bolt.Options) (*bolt.DB, error) {
	base, err := d.base(name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(opOpen, "database %s", base); err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	before, err := metasOf(name)
	if err != nil {
		return nil, err
	}
	db, err := osDisk{}.Database(name, opts)
	if err != nil {
		return nil, err
	}
	inode := d.create(base)
	if err := d.adopt(db, inode, base, before); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	d.bolts[db] = inode
	return db, nil
}

// metasOf returns the pages that every commit writes to; none if there is no file, or an empty one.
func metasOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, 0, 2*int64(os.Getpagesize())))
}

// adopt has the database write to this disk. metas is what metasOf has returned before it was opened. It is called with mu held.
func (d *crashDisk) adopt(db *bolt.DB, inode *crashInode, name string, metas []byte) error {
	writeAt, f, err := insidesOf(db)
	if err != nil {
		return err
	}
	if len(metas) == 0 {
		if err := d.recordInit(f, inode, name); err != nil {
			return err
		}
	} else if now, err := metasOf(db.Path()); err != nil || !bytes.Equal(now, metas) {
		return fmt.Errorf("bbolt has written to %s while opening it, which the crash disk can't see: %w", name, err)
	}
	to := writerFunc(*writeAt)
	pageSize := int64(db.Info().PageSize)
	*writeAt = func(b []byte, off int64) (int, error) {
		if err := d.beforeWrite(db, f, inode, name, off/pageSize < 2); err != nil {
			return 0, err
		}
		return d.write(inode, to, name, b, off)
	}
	return nil
}

type writerFunc func(b []byte, off int64) (int, error)

func (f writerFunc) WriteAt(b []byte, off int64) (int, error) { return f(b, off) }

// insidesOf returns the field of the database through which it writes, and its file.
func insidesOf(db *bolt.DB) (writeAt *func(b []byte, off int64) (int, error), f *os.File, err error) {
	writeAt = fieldOf[func(b []byte, off int64) (int, error)](reflect.ValueOf(db).Elem(), "ops", "writeAt")
	at := fieldOf[*os.File](reflect.ValueOf(db).Elem(), "file")
	if writeAt == nil || at == nil {
		return nil, nil, errors.New("bolt.DB hasn't the fields ops.writeAt and file of the types expected: this version of bbolt writes in " +
			"another way, and the crash disk must learn it, or it would see nothing of what bbolt writes")
	}
	return writeAt, *at, nil
}

// fieldOf returns where the field is, through fields of structs; nil if there is none of the type.
func fieldOf[T any](v reflect.Value, path ...string) *T {
	for _, name := range path {
		if v.Kind() != reflect.Struct {
			return nil
		}
		if v = v.FieldByName(name); !v.IsValid() {
			return nil
		}
	}
	field, _ := reflect.TypeAssert[*T](reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())))
	return field
}

// recordInit records what bbolt has written to a file that was empty.
func (d *crashDisk) recordInit(f *os.File, inode *crashInode, name string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	written := make([]byte, info.Size())
	if _, err := f.ReadAt(written, 0); err != nil {
		return err
	}
	if err := d.step(opWrite, "%s: the first pages", name); err != nil {
		return err
	}
	inode.write(0, written)
	return d.sync(inode, name)
}

// beforeWrite records what bbolt has done since its last write.
func (d *crashDisk) beforeWrite(db *bolt.DB, f *os.File, inode *crashInode, name string, meta bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errPowerCut
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != inode.size {
		if err := d.step(opTruncate, "%s to %d", name, info.Size()); err != nil {
			return err
		}
		inode.truncate(info.Size())
		if err := d.sync(inode, name); err != nil {
			return err
		}
	}
	if meta && !db.NoSync {
		return d.sync(inode, name)
	}
	return nil
}

// Commit commits, and records the sync that ends it.
func (d *crashDisk) Commit(tx *bolt.Tx) error {
	db := tx.DB()
	if d.onCommit != nil {
		d.onCommit()
	}
	d.mu.Lock()
	inode := d.bolts[db]
	err := d.step(opCommit, "%s", filepath.Base(db.Path()))
	d.mu.Unlock()
	if inode == nil {
		return errors.Join(errors.New("a commit to a database that the crash disk hasn't opened"), tx.Rollback())
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	name := filepath.Base(db.Path())
	if err := tx.Commit(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if db.NoSync {
		return nil
	}
	return d.sync(inode, name)
}

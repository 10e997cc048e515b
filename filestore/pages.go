package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"
)

// pageWalk follows the references between the pages of a database before bbolt does. On a damaged
// page bbolt may read memory that isn't mapped, which kills the process in the goroutine of
// Tx.Check, or follow a cycle for ever. After a walk without an error it does neither. The walk also
// checks the list of free pages, which bbolt trusts when it writes. Tx.Check does everything else.
type pageWalk struct {
	tx       *bolt.Tx
	file     io.ReaderAt
	pageSize int
	used     []bool // by page: it is free, or was visited
}

const (
	pageHeader  = 16 // ID u64, flags u16, count u16, overflow u32
	elementSize = 16 // leaf: flags, position, key size, value size u32; branch: position, key size u32, page u64
	branchFlag  = 1
	leafFlag    = 2
	bucketFlag  = 1 // of an element
)

var native = binary.NativeEndian

// run visits the free pages, then all pages in use, and then the page with the list of free pages:
// only a page that is none of the others can be that, because their content may look like a list.
func (w *pageWalk) run(free int) error {
	lists := make(map[int]int) // numbers of pages by the first
	for id := range w.used {
		info, err := w.tx.Page(id)
		if err == nil && info.Type == "free" {
			err = w.use(id, 1)
			free--
		}
		if err != nil {
			return err
		}
		if info.Type == "freelist" {
			lists[id] = 1 + info.OverflowCount
		}
	}
	if free != 0 {
		return errors.New("the list of free pages names pages that don't exist")
	}
	if err := w.page(uint64(w.tx.Cursor().Bucket().Root())); err != nil {
		return err
	}
	for id, n := range lists {
		if !w.used[id] {
			if err := w.use(id, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// use marks n pages as used.
func (w *pageWalk) use(first, n int) error {
	for id := first; id < first+n; id++ {
		if id < 2 || id >= len(w.used) || w.used[id] {
			return fmt.Errorf("page %d overlaps a free or another page, or is outside of the database", id)
		}
		w.used[id] = true
	}
	return nil
}

// page visits a page and those below it.
func (w *pageWalk) page(id uint64) error {
	if id >= uint64(len(w.used)) {
		return fmt.Errorf("a reference to page %d, which is outside of the database", id)
	}
	info, err := w.tx.Page(int(id)) //nolint:gosec // within the database
	if err != nil {
		return err
	}
	n := 1 + info.OverflowCount
	if err := w.use(info.ID, n); err != nil {
		return err
	}
	b := make([]byte, n*w.pageSize)
	if _, err := w.file.ReadAt(b, int64(info.ID*w.pageSize)); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return w.elements(b, id)
}

// elements visits the elements of a page, or of a bucket that is stored inside an element (page 0).
func (w *pageWalk) elements(b []byte, id uint64) error {
	flags, count := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	leaf := flags == leafFlag
	if native.Uint64(b) != id || !leaf && (flags != branchFlag || id == 0) || pageHeader+count*elementSize > len(b) {
		return fmt.Errorf("the header of page %d is invalid", id)
	}
	for at := pageHeader; at < pageHeader+count*elementSize; at += elementSize {
		e := b[at : at+elementSize]
		position, key, size := uint64(native.Uint32(e)), uint64(native.Uint32(e[4:])), uint64(0)
		if leaf {
			position, key, size = key, uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
		}
		end := uint64(at) + position + key + size //nolint:gosec // not negative
		if position < elementSize || end > uint64(len(b)) {
			return fmt.Errorf("an element of page %d is outside of the page", id)
		}
		var err error
		switch {
		case !leaf:
			err = w.page(native.Uint64(e[8:]))
		case native.Uint32(e)&bucketFlag != 0:
			err = w.bucket(b[end-size:end], id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket visits the pages of a bucket: root page u64, sequence u64, and, without a root page, its
// only page.
func (w *pageWalk) bucket(b []byte, id uint64) error {
	switch {
	case len(b) < pageHeader, native.Uint64(b) == 0 && len(b) < 2*pageHeader:
		return fmt.Errorf("a bucket in page %d is too short", id)
	case native.Uint64(b) == 0:
		return w.elements(b[pageHeader:], 0)
	}
	return w.page(native.Uint64(b))
}

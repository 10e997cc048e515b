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
// Tx.Check, or follow a cycle for ever. After a walk without an error it does neither. freePages
// checks the list of free pages, which bbolt trusts when it writes. Tx.Check does everything else.
type pageWalk struct {
	tx       *bolt.Tx
	file     io.ReaderAt
	pageSize uint64
	seen     []bool // by page
}

const (
	pageHeader  = 16 // ID u64, flags u16, count u16, overflow u32
	elementSize = 16 // leaf: flags, position, key size, value size u32; branch: position, key size u32, page u64
	branchFlag  = 1
	leafFlag    = 2
	bucketFlag  = 1 // of an element
)

var native = binary.NativeEndian

// page visits a page and those below it.
func (w *pageWalk) page(id uint64) error {
	end := uint64(len(w.seen))
	if id < 2 || id >= end || w.seen[id] {
		return fmt.Errorf("a reference to page %d, which is in use elsewhere or outside of the database", id)
	}
	n := uint64(1)
	for other := id; other < id+n; other++ {
		info, err := w.tx.Page(int(other)) //nolint:gosec // smaller than the end
		if err != nil {
			return err
		}
		if other == id {
			n += uint64(info.OverflowCount) //nolint:gosec // a u32
		}
		if w.seen[other] || info.Type == "free" || id+n > end {
			return fmt.Errorf("page %d overlaps a free or another page, or the end of the database", id)
		}
		w.seen[other] = true
	}
	b := make([]byte, n*w.pageSize)
	if _, err := w.file.ReadAt(b, int64(id*w.pageSize)); err != nil { //nolint:gosec // within the file
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

// freePages checks the list of free pages, which has n IDs, and the page that holds it. It follows
// the walk over the pages in use.
func (w *pageWalk) freePages(n int64) error {
	for id := range w.seen {
		info, err := w.tx.Page(id)
		switch {
		case err != nil:
			return err
		case info.Type == "free":
			n--
		case info.Type == "freelist":
			for other := id; other <= id+info.OverflowCount; other++ {
				if other >= len(w.seen) || w.seen[other] {
					return fmt.Errorf("page %d, the list of free pages, overlaps another page, or the end of the database", id)
				}
				w.seen[other] = true
			}
		}
	}
	if n != 0 {
		return errors.New("the list of free pages names pages that don't exist")
	}
	return nil
}

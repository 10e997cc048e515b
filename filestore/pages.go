package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The database's pages are read here without bbolt's code: its pages have no checksums, and it panics, faults or goes round in
// circles on a damaged one. This reader believes nothing that it reads, maps nothing into memory, and says where the damage is.
//
// A file begins with two metas, pages 0 and 1, which commits write in turn: the valid one with the higher transaction counts. It
// names the page of the freelist and the root of a tree of branch and leaf pages, whose entries are the buckets: each a tree of
// its own, or, if it is small, a leaf inside the entry. An element's data follow the table of elements, in its order and without
// gaps. Numbers are in the byte order of the machine.

const (
	pageHeader   = 16 // id u64 | flags u16 | count u16 | overflow u32: how many pages more it takes
	elementSize  = 16 // of a leaf: flags u32 | position u32 | key size u32 | value size u32; of a branch: position u32 | key size u32 | page u64
	bucketHeader = 16 // root u64, 0: the leaf is inside the entry | sequence u64

	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10
	bucketFlag   = 0x01 // of a leaf's element

	minPageSize = 1 << 10
	maxPageSize = 16 << 20
	maxDepth    = 64 // of a tree: more than any that fits a disk
	maxKeySize  = 32768

	noFreelist = ^uint64(0)
)

var native = binary.NativeEndian

// pageMeta is what a meta says.
type pageMeta struct {
	pageSize int64
	root     uint64
	freelist uint64
	end      uint64 // the first page that was never used
	tx       uint64
}

const (
	metaSize    = 64
	metaSumAt   = 56
	metaMagic   = 0xED0CDAED
	metaVersion = 2
)

var errMeta = errors.New("its checksum is wrong")

// parseMeta reads a meta, which begins behind the header of its page.
func parseMeta(b []byte) (pageMeta, error) {
	m := pageMeta{
		pageSize: int64(native.Uint32(b[8:])),
		root:     native.Uint64(b[16:]),
		freelist: native.Uint64(b[32:]),
		end:      native.Uint64(b[40:]),
		tx:       native.Uint64(b[48:]),
	}
	switch {
	case native.Uint32(b) != metaMagic:
		return m, errors.New("it isn't that of a database")
	case metaSum(b) != native.Uint64(b[metaSumAt:]):
		return m, errMeta
	case native.Uint32(b[4:]) != metaVersion:
		return m, fmt.Errorf("it is of version %d, which this program doesn't know", native.Uint32(b[4:]))
	case m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0,
		m.end < 3 || m.end > 1<<62/maxPageSize,
		m.root < 2 || m.root >= m.end,
		m.freelist != noFreelist && (m.freelist < 2 || m.freelist >= m.end):
		return m, errors.New("what it says can't be")
	}
	return m, nil
}

// metaSum is the checksum that a meta should have.
func metaSum(b []byte) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSumAt])
	return sum.Sum64()
}

// pageProblem is told of damage: where it is in the file, and what it is.
type pageProblem func(offset int64, what string)

// pageFile is a database file, as far as its metas and its freelist can be believed.
type pageFile struct {
	pageMeta
	r     io.ReaderAt
	pages uint64 // that are used and in the file
	meta  int    // the one that counts
	spare error  // what is wrong with the other; nil: nothing

	free       pageSet
	freePages  uint64
	freeBroken bool   // the freelist is damaged, or may be: a free page needn't be in it
	listSpan   uint64 // how many pages the freelist takes
}

// openPages reads the metas and the freelist. It fails only if no meta is valid; other damage is reported.
func openPages(r io.ReaderAt, size int64, report pageProblem) (*pageFile, error) {
	f := &pageFile{r: r}
	if err := f.chooseMeta(); err != nil {
		return nil, err
	}
	f.pages = min(f.end, uint64(size/f.pageSize))
	if f.pages < f.end {
		report(size, fmt.Sprintf("the file ends here, but the database goes on to byte %d", int64(f.end)*f.pageSize))
	}
	f.free = newPageSet(f.pages)
	f.readFreelist(report)
	return f, nil
}

// chooseMeta finds the meta that counts.
func (f *pageFile) chooseMeta() error {
	first, firstErr := f.readMeta(0)
	var second pageMeta
	secondErr := errMeta
	if firstErr == nil {
		second, secondErr = f.readMeta(first.pageSize)
	} else {
		// The size of a page isn't known: the second meta says it itself.
		for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
			m, err := f.readMeta(size)
			if err == nil && m.pageSize == size {
				second, secondErr = m, nil
				break
			}
		}
	}
	if firstErr == nil && secondErr == nil && first.pageSize != second.pageSize {
		secondErr = errors.New("it is of another size of page")
	}
	switch {
	case firstErr != nil && secondErr != nil:
		return fmt.Errorf("neither meta page can be used: of the first one, %w", firstErr)
	case firstErr != nil || secondErr == nil && second.tx > first.tx:
		f.pageMeta, f.meta, f.spare = second, 1, firstErr
	default:
		f.pageMeta, f.meta, f.spare = first, 0, secondErr
	}
	return nil
}

func (f *pageFile) readMeta(at int64) (pageMeta, error) {
	var b [metaSize]byte
	if err := readAll(f.r, b[:], at+pageHeader); err != nil {
		return pageMeta{}, fmt.Errorf("it can't be read: %w", err)
	}
	return parseMeta(b[:])
}

// spareOffset is where the meta is that doesn't count.
func (f *pageFile) spareOffset() int64 { return int64(1-f.meta)*f.pageSize + pageHeader }

func (f *pageFile) offset(page uint64) int64 { return int64(page) * f.pageSize }

// header is the beginning of a page.
type header struct {
	id       uint64
	flags    uint16
	count    int
	overflow uint64
}

func parseHeader(b []byte) header {
	return header{
		id:       native.Uint64(b),
		flags:    native.Uint16(b[8:]),
		count:    int(native.Uint16(b[10:])),
		overflow: uint64(native.Uint32(b[12:])),
	}
}

// span returns how many pages a page takes, with those that overflow it, or what is wrong with that.
func (f *pageFile) span(page uint64, h header) (n uint64, wrong string) {
	n = 1 + h.overflow
	switch {
	case page+n > f.end:
		return 0, fmt.Sprintf("page %d is said to take %d pages, past the end of the database", page, n)
	case page+n > f.pages:
		return 0, fmt.Sprintf("page %d is cut off by the end of the file", page)
	}
	return n, ""
}

// readAll fills b from a place in the file.
func readAll(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF: //nolint:errorlint // that is how ReadAt says it
		return io.ErrUnexpectedEOF
	}
	return err
}

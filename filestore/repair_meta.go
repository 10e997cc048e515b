package filestore

import (
	"fmt"
	"io"
)

// mended is a file with a byte that isn't as it is on disk.
type mended struct {
	io.ReaderAt
	at int64
	is byte
}

func (m mended) ReadAt(b []byte, at int64) (int, error) {
	n, err := m.ReaderAt.ReadAt(b, at)
	if i := m.at - at; i >= 0 && i < int64(n) {
		b[i] = m.is
	}
	return n, err
}

// mendMetas mends metas of which a single bit is wrong: which one it is the checksum says. Without a meta nothing could be
// saved, and with the older one perhaps not all.
func (s *salvage) mendMetas(r io.ReaderAt) io.ReaderAt {
	r, _ = s.mendMeta(r, 0)
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		var done bool
		if r, done = s.mendMeta(r, size); done {
			break
		}
	}
	return r
}

// mendMeta returns the file with the meta at that place in order, and whether it is.
func (s *salvage) mendMeta(r io.ReaderAt, at int64) (io.ReaderAt, bool) {
	var b [metaSize]byte
	if readAll(r, b[:], at+pageHeader) != nil {
		return r, false
	}
	fits := func() bool {
		m, err := parseMeta(b[:])
		return err == nil && (at == 0 || m.pageSize == at)
	}
	if fits() {
		return r, true
	}
	for i := range b {
		for bit := byte(1); bit != 0; bit <<= 1 {
			if b[i] ^= bit; fits() {
				place := at + pageHeader + int64(i)
				s.problems.add(place, fmt.Sprintf("a bit of meta page %d was wrong", min(at, 1)))
				return mended{r, place, b[i]}, true
			}
			b[i] ^= bit
		}
	}
	return r, false
}

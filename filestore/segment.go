package filestore

import (
	"fmt"
)

// segment is one of the two files that the log takes turns with. It is used from its beginning each time, and keeps its size
// then: writing over what is there is faster than making a file longer.
type segment struct {
	name  string
	file  file
	size  int64    // of the file
	limit int64    // of the size
	base  position // of the start group
	end   position // after the last group
}

// growth is how much a segment grows at a time, once it is large; before, it doubles. Each time costs the write and makes the
// next sync a slow one.
const growth = 4 << 20

func openSegment(d disk, name string, limit int64) (*segment, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &segment{name: name, file: f, size: size, limit: limit}, nil
}

// room reports whether n more bytes fit in.
func (s *segment) room(n int64) bool { return int64(s.end-s.base)+n <= s.limit }

// write appends a sealed group.
func (s *segment) write(b []byte) error {
	at := int64(s.end - s.base)
	if err := s.extend(at + int64(len(b))); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(b, at); err != nil {
		return fmt.Errorf("write %s: %w", s.name, err)
	}
	s.end += position(len(b))
	return nil
}

// rewrite writes what is at the position once more.
func (s *segment) rewrite(b []byte, at position) error {
	if _, err := s.file.WriteAt(b, int64(at-s.base)); err != nil {
		return fmt.Errorf("write %s: %w", s.name, err)
	}
	return nil
}

// extend makes the file at least that large. The new part is written, not only promised: else each sync would have to make
// it durable that it has been.
func (s *segment) extend(least int64) error {
	if least <= s.size {
		return nil
	}
	to := max(least, min(s.size+min(max(s.size, 64<<10), growth), s.limit))
	if _, err := s.file.WriteAt(make([]byte, to-s.size), s.size); err != nil {
		return fmt.Errorf("extend %s: %w", s.name, err)
	}
	s.size = to
	return nil
}

func (s *segment) sync() error {
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.name, err)
	}
	return nil
}

// shrink gives the disk space of an unused segment back.
func (s *segment) shrink() error {
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("truncate %s: %w", s.name, err)
	}
	s.size = 0
	return nil
}

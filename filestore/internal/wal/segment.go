package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// File is an open file of the log.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the content and the size durable.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
}

// segment is one of the two files. It is written from its beginning whenever the log rotates into
// it and keeps its size, because overwriting is faster than making a file longer.
type segment struct {
	name  string
	file  File     // nil: a log that is only read has no such file
	size  int64    // of the file
	limit int64    // of the size
	base  Position // of the start group
	end   Position // behind the last group
}

// zeros is what a segment grows by: a large one by all of it, while a smaller one doubles. Growing
// costs a write, and makes the next sync slower. The array is only read, so it takes no memory.
var zeros [4 << 20]byte

func openSegment(c *Config, name string) (*segment, error) {
	f, err := c.Open(name)
	if c.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return &segment{name: name}, nil
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &segment{name: name, file: f, size: size, limit: c.Limit}, nil
}

// write appends a sealed group.
func (s *segment) write(b []byte) error {
	err := s.extend(s.offset(s.end) + int64(len(b)))
	if err == nil {
		err = s.writeAt(b, s.offset(s.end))
	}
	if err == nil {
		s.end += Position(len(b))
	}
	return err
}

func (s *segment) writeAt(b []byte, offset int64) error {
	if _, err := s.file.WriteAt(b, offset); err != nil {
		return fmt.Errorf("write %s: %w", s.name, err)
	}
	return nil
}

// offset returns the offset in the file of a position.
func (s *segment) offset(at Position) int64 { return int64(at - s.base) }

// extend grows the file to at least that size. It writes the new part instead of truncating the
// file to a larger size: otherwise every later sync would have to store which blocks were written.
func (s *segment) extend(least int64) error {
	for s.size < least {
		n := min(max(least-s.size, min(max(s.size, 64<<10), s.limit-s.size)), int64(len(zeros)))
		if _, err := s.file.WriteAt(zeros[:n], s.size); err != nil {
			return fmt.Errorf("extend %s: %w", s.name, err)
		}
		s.size += n
	}
	return nil
}

func (s *segment) sync() error {
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.name, err)
	}
	return nil
}

// shrink truncates a segment that isn't in use.
func (s *segment) shrink() error {
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("truncate %s: %w", s.name, err)
	}
	s.size = 0
	return nil
}

// erase overwrites the beginning of a group, which makes it unrecognizable.
func (s *segment) erase(offset int64) error { return s.writeAt(zeros[:groupAlign], offset) }

package wal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// Config says where a log is.
type Config struct {
	Names    [2]string // of the files
	Open     func(name string) (File, error)
	Limit    int64 // of the size of each file
	ReadOnly bool  // a missing file is treated as empty; only Verify and Close may be called
}

// Log is an open log. After Open, either Create or Replay must be called once.
type Log struct {
	id       ID
	segments [2]*segment
	active   *segment
	synced   Position
	chain    uint32   // checksum of the last group
	unsynced []byte   // the groups that were written from synced on
	torn     bool     // a sync has failed: unsynced must be written again before the next one
	failed   []remain // of writes that were rolled back

	buf     []byte // the group under construction, with room for its header
	entries uint32
}

// Open opens both files.
func Open(c Config) (*Log, error) {
	l := new(Log)
	for i, name := range c.Names {
		s, err := openSegment(&c, name)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.segments[i] = s
	}
	return l, nil
}

// Create begins a log with a new ID and makes it durable, but for the names of its files.
func (l *Log) Create(at Position) error {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	l.id = ID(binary.LittleEndian.Uint64(id[:]))
	for _, s := range l.segments {
		if s.size > s.limit { // it was created with a larger limit
			if err := s.shrink(); err != nil {
				return err
			}
		}
	}
	return l.start(l.segments[0], at)
}

// ID returns the ID of the log.
func (l *Log) ID() ID { return l.id }

// Position returns the position of the next group.
func (l *Log) Position() Position { return l.active.end }

// Base returns the position at which the current file begins.
func (l *Log) Base() Position { return l.active.base }

// Used returns the number of bytes that are used in the current file.
func (l *Log) Used() int64 { return l.active.offset(l.active.end) }

// Fits reports whether a group with that many bytes of entries fits into the current file.
func (l *Log) Fits(n int) bool { return l.Used()+aligned(groupHeader+int64(n)) <= l.active.limit }

// Begin begins a new group, without entries.
func (l *Log) Begin() {
	if cap(l.buf) == 0 || cap(l.buf) > 4<<20 {
		l.buf = make([]byte, groupHeader, 64<<10)
	}
	l.buf, l.entries = l.buf[:groupHeader], 0
}

// Append adds an entry to the group: encode appends it to the buffer that it is passed.
func (l *Log) Append(encode func(b []byte) []byte) {
	l.buf = encode(l.buf)
	l.entries++
}

// GroupSize returns the number of bytes that the group takes.
func (l *Log) GroupSize() int64 { return int64(len(l.buf)) }

// unsyncedLimit limits the copy of the groups that aren't synced.
const unsyncedLimit = 4 << 20

// Write writes the group. It becomes durable with the next Sync, which Write calls itself now and
// then.
func (l *Log) Write() error {
	err := l.writeGroup(changesGroup)
	if err == nil && len(l.unsynced) > unsyncedLimit {
		err = l.Sync()
	}
	return err
}

func (l *Log) writeGroup(kind uint32) error {
	if l.torn {
		if err := l.Sync(); err != nil {
			return err
		}
	}
	if err := l.eraseFailed(); err != nil {
		return err
	}
	g := group{at: l.active.end, synced: l.synced, chain: l.chain, kind: kind, entries: l.entries}
	l.buf = g.seal(l.buf, l.id)
	if err := l.active.write(l.buf); err != nil {
		return err
	}
	l.failed = l.failed[:0]
	l.chain = g.sum
	l.unsynced = append(l.unsynced, l.buf...)
	return nil
}

// Sync makes every group durable that was written.
func (l *Log) Sync() error {
	if l.synced == l.active.end {
		l.unsynced, l.torn = l.unsynced[:0], false
		return nil
	}
	if l.torn {
		if err := l.active.writeAt(l.unsynced, l.active.offset(l.synced)); err != nil {
			return err
		}
	}
	if err := l.active.sync(); err != nil {
		l.torn = true
		return err
	}
	l.synced, l.torn = l.active.end, false
	if l.unsynced = l.unsynced[:0]; cap(l.unsynced) > 2*unsyncedLimit {
		l.unsynced = nil
	}
	return nil
}

// Savepoint is a state of the log to which Rollback returns.
type Savepoint struct {
	segment *segment
	end     Position
	chain   uint32
}

// Savepoint returns the current state.
func (l *Log) Savepoint() Savepoint { return Savepoint{l.active, l.active.end, l.chain} }

// Rollback removes the group, or the rotation, that has failed since the savepoint.
func (l *Log) Rollback(to Savepoint) {
	if l.active == to.segment {
		l.failed = append(l.failed, remain{to.segment, to.segment.offset(to.end)})
		l.synced = min(l.synced, to.end)
	} else { // a rotation, before which the log was synced
		l.failed = append(l.failed, remain{l.active, 0})
		l.synced, l.torn = to.end, false
	}
	l.active, l.chain = to.segment, to.chain
	l.active.end = to.end
	l.unsynced = l.unsynced[:to.end-l.synced]
}

// remain is where a group may stand whose write or sync has failed: the disk may have it whole all
// the same. It must not be mistaken for the group that is written at the same position later.
type remain struct {
	segment *segment
	offset  int64
}

// eraseFailed erases what failed groups may have left. The next group overwrites one of them.
func (l *Log) eraseFailed() error {
	for _, r := range l.failed {
		if r.segment == l.active && r.offset == l.Used() {
			continue
		}
		if err := r.segment.erase(r.offset); err != nil {
			return err
		}
		if err := r.segment.sync(); err != nil {
			return err
		}
	}
	return nil
}

// Reserve makes sure that the current file has disk space for n more bytes.
func (l *Log) Reserve(n int64) error { return l.active.extend(l.Used() + n) }

// Rotate syncs the log and continues it in the other file.
func (l *Log) Rotate() error {
	if err := l.Sync(); err != nil {
		return err
	}
	other := l.other()
	if err := other.extend(groupHeader); err != nil { // fails for lack of space before anything is changed
		return err
	}
	before := l.Savepoint()
	err := l.start(other, l.active.end)
	if err != nil {
		l.Rollback(before)
	}
	return err
}

func (l *Log) other() *segment {
	if l.active == l.segments[0] {
		return l.segments[1]
	}
	return l.segments[0]
}

// start writes the first group of a segment and makes it durable.
func (l *Log) start(s *segment, at Position) error {
	s.base, s.end = at, at
	l.active, l.synced = s, at
	l.Begin()
	if err := l.writeGroup(startGroup); err != nil {
		return err
	}
	return l.Sync()
}

// Shrink returns the disk space of the file that isn't in use.
func (l *Log) Shrink() error { return l.other().shrink() }

// Close closes the files. It doesn't sync them.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, s := range l.segments {
		if s != nil && s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}

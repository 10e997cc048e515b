package filestore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
)

func newLogID() logID {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return logID(binary.LittleEndian.Uint64(b[:]))
}

// changeLog is what makes changes durable before they are in the database. Only the committer uses it.
type changeLog struct {
	id       logID
	segments [2]*segment
	active   *segment
	synced   position
	chain    uint32

	buf     []byte // the group that is being made
	entries uint32
}

// begin begins a new group.
func (l *changeLog) begin() {
	if cap(l.buf) == 0 || cap(l.buf) > 4<<20 {
		l.buf = make([]byte, groupHeader, 64<<10)
	}
	l.buf, l.entries = l.buf[:groupHeader], 0
}

func (l *changeLog) put(app string, key []byte, v value) {
	l.buf = appendPut(l.buf, app, key, v)
	l.entries++
}

func (l *changeLog) destroy(app string, key []byte) {
	l.buf = appendDestroy(l.buf, app, key)
	l.entries++
}

func (l *changeLog) touch(app string, key []byte, v value) {
	l.buf = appendTouch(l.buf, app, key, v)
	l.entries++
}

// room reports whether a group with that many bytes of entries fits into the segment.
func (l *changeLog) room(n int) bool { return l.active.room(aligned(groupHeader + int64(n))) }

// write writes the group. It isn't durable before the next sync.
func (l *changeLog) write() error { return l.writeGroup(changesGroup) }

func (l *changeLog) writeGroup(kind uint32) error {
	g := group{log: l.id, at: l.active.end, synced: l.synced, chain: l.chain, kind: kind, entries: l.entries}
	l.buf = g.seal(l.buf)
	if err := l.active.write(l.buf); err != nil {
		return err
	}
	l.chain = g.sum
	return nil
}

// sync makes durable what was written.
func (l *changeLog) sync() error {
	if l.synced == l.active.end {
		return nil
	}
	if err := l.active.sync(); err != nil {
		return err
	}
	l.synced = l.active.end
	return nil
}

// position is where the next group will stand: all before it is written.
func (l *changeLog) position() position { return l.active.end }

// other returns the segment that isn't in use.
func (l *changeLog) other() *segment {
	if l.active == l.segments[0] {
		return l.segments[1]
	}
	return l.segments[0]
}

// turn syncs the active segment and goes on in the other one, whose changes must all be in the database.
func (l *changeLog) turn() error {
	at := l.active.end
	if err := l.sync(); err != nil {
		return err
	}
	return l.start(l.other(), at)
}

// start begins a segment at the position and makes that durable.
func (l *changeLog) start(s *segment, at position) error {
	s.base, s.end = at, at
	l.active, l.synced = s, at
	l.begin()
	if err := l.writeGroup(startGroup); err != nil {
		return err
	}
	return l.sync()
}

func (l *changeLog) close() error {
	var errs []error
	for _, s := range l.segments {
		if s != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}

package filestore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
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
	unsynced []byte // what was written from synced on
	torn     bool   // a sync has failed, which may have lost that though it is read: it must be written anew
	voids    []void // what failed writes may have left

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
	if l.torn {
		if err := l.sync(); err != nil {
			return err
		}
	}
	if err := l.clean(); err != nil {
		return err
	}
	g := group{log: l.id, at: l.active.end, synced: l.synced, chain: l.chain, kind: kind, entries: l.entries}
	l.buf = g.seal(l.buf)
	if err := l.active.write(l.buf); err != nil {
		return err
	}
	l.voids = l.voids[:0]
	l.chain = g.sum
	l.unsynced = append(l.unsynced, l.buf...)
	return nil
}

// unsyncedLimit is from how much on a group is synced though nobody waits for that.
const unsyncedLimit = 4 << 20

// sync makes durable what was written.
func (l *changeLog) sync() error {
	if l.synced == l.active.end {
		l.unsynced, l.torn = l.unsynced[:0], false
		return nil
	}
	if l.torn {
		if err := l.active.rewrite(l.unsynced, l.synced); err != nil {
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

// mark is a place in the log to go back to.
type mark struct {
	segment *segment
	end     position
	chain   uint32
}

func (l *changeLog) mark() mark { return mark{l.active, l.active.end, l.chain} }

// back forgets the group, or the segment, that couldn't be written since the mark.
func (l *changeLog) back(m mark) {
	if l.active == m.segment {
		l.voids = append(l.voids, void{m.segment, int64(m.end - m.segment.base)})
		l.synced = min(l.synced, m.end)
	} else { // all of the one before is synced
		l.voids = append(l.voids, void{l.active, 0})
		l.synced, l.torn = m.end, false
	}
	l.active, l.chain = m.segment, m.chain
	l.active.end = m.end
	l.unsynced = l.unsynced[:m.end-l.synced]
}

// void is a place in a segment where a whole group may stand that failed: a sync that has failed may have written it all the same. It is nobody's, and it must not compete with what the log goes on with
// at the same position.
type void struct {
	segment *segment
	offset  int64
}

// clean takes away what tells the voids from anything else, before the next group is written; one is where that comes to stand.
func (l *changeLog) clean() error {
	for _, v := range l.voids {
		if v.segment == l.active && v.offset == int64(l.active.end-l.active.base) {
			continue
		}
		if _, err := v.segment.file.WriteAt(make([]byte, groupAlign), v.offset); err != nil {
			return fmt.Errorf("write %s: %w", v.segment.name, err)
		}
		if err := v.segment.sync(); err != nil {
			return err
		}
	}
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
	if err := l.other().extend(groupHeader); err != nil { // what fails for want of room fails here, and leaves nothing
		return err
	}
	m := l.mark()
	err := l.start(l.other(), at)
	if err != nil {
		l.back(m)
	}
	return err
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

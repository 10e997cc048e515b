package wal

import (
	"encoding/binary"
	"fmt"
)

// DamagedError says where a log is damaged.
type DamagedError struct {
	Path   string // of the file
	Offset int64  // in the file, in bytes; -1: the whole file
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.Path, e.Offset, e.Reason)
}

// Replay calls apply with every group from the position on, in order, and prepares the log to be
// continued. It returns the approximate size of the unfinished tail that it has erased. The error
// of a damaged log, or of apply, is a *DamagedError; then nothing was changed.
func (l *Log) Replay(id ID, from Position, apply func(payload []byte, entries int) error) (torn int64, err error) {
	r, err := l.read(id, from, apply)
	if err != nil {
		return 0, err
	}
	last := r.order[len(r.order)-1]
	l.id, l.active, l.chain = id, last.segment, last.chain
	for _, t := range r.tail {
		if err := t.segment.erase(t.offset); err != nil {
			return 0, err
		}
	}
	// The file may have groups in the page cache only. A failed sync may also have marked pages as
	// clean that were never written, so that the next sync leaves them out: write them again.
	if err := last.rewrite(); err != nil {
		return 0, err
	}
	for _, s := range l.segments {
		if err := s.sync(); err != nil {
			return 0, err
		}
	}
	l.synced = last.segment.end
	return r.torn, nil
}

// Verify is Replay without any change to the files.
func (l *Log) Verify(id ID, from Position, visit func(payload []byte, entries int) error) (torn int64, err error) {
	r, err := l.read(id, from, visit)
	return r.torn, err
}

// reading is the result of reading a log.
type reading struct {
	order []*scan  // the segments that have the log from the position on
	tail  []remain // the beginnings of unfinished groups
	torn  int64    // about the size of the unfinished groups
}

func (l *Log) read(id ID, from Position, apply func(payload []byte, entries int) error) (r reading, err error) {
	var scans [2]*scan
	for i, s := range l.segments {
		if scans[i], err = scanSegment(s, id); err != nil {
			return r, err
		}
	}
	if r.order, err = arrange(from, scans); err != nil {
		return r, err
	}
	if err := r.checkTail(scans, id); err != nil {
		return r, err
	}
	for _, sc := range r.order {
		for i := range sc.groups {
			g := &sc.groups[i]
			if g.at < from || g.kind != changesGroup {
				continue
			}
			if err := apply(g.payload, int(g.entries)); err != nil {
				return r, &DamagedError{sc.segment.name, sc.segment.offset(g.at), err.Error()}
			}
		}
	}
	return r, nil
}

// arrange returns the segments that have the log from the position on, in order.
func arrange(from Position, scans [2]*scan) ([]*scan, error) {
	first, second := scans[0], scans[1]
	if !first.has(from) || (second.has(from) && first.follows(second)) {
		first, second = second, first
	}
	if !first.has(from) {
		return nil, &DamagedError{
			scans[0].segment.name, -1,
			fmt.Sprintf("neither this file nor %s has the log from where it was applied on", scans[1].segment.name),
		}
	}
	if second.follows(first) {
		return []*scan{first, second}, nil
	}
	return []*scan{first}, nil
}

// checkTail distinguishes an unfinished tail from damage: a later group proves that the log had
// been synced beyond the place where it ends now.
func (r *reading) checkTail(scans [2]*scan, id ID) error {
	last := r.order[len(r.order)-1]
	end := last.segment.end
	at := last.segment.offset(end)
	damaged := false
	for _, sc := range scans {
		for i := 0; i < len(sc.data); i += groupAlign {
			if !isGroupOf(sc.data[i:], id) {
				continue // without parsing each place of a large file
			}
			if g, ok := parseGroup(sc.data[i:], id); ok && g.at >= end {
				r.torn += g.size()
				r.tail = append(r.tail, remain{sc.segment, int64(i)})
				damaged = damaged || g.synced > end
			}
		}
	}
	if damaged {
		return &DamagedError{last.segment.name, at, "a group of changes that was synced is unreadable"}
	}
	rest := last.data[min(at, int64(len(last.data))):]
	if isGroupOf(rest, id) {
		r.torn += min(int64(len(rest)), groupHeader+int64(binary.LittleEndian.Uint32(rest[4:])))
		r.tail = append(r.tail, remain{last.segment, at})
	}
	return nil
}

// scan is the content of a segment.
type scan struct {
	segment *segment
	data    []byte
	groups  []group // the whole groups that follow one another from the beginning
	chain   uint32  // checksum of the last
}

// scanSegment reads the groups of the log from a segment.
func scanSegment(s *segment, id ID) (*scan, error) {
	sc := &scan{segment: s, data: make([]byte, s.size)}
	if s.size > 0 {
		if n, err := s.file.ReadAt(sc.data, 0); n < len(sc.data) {
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
	}
	g, ok := parseGroup(sc.data, id)
	if !ok || g.kind != startGroup {
		return sc, nil
	}
	s.base, s.end = g.at, g.at
	for ok && g.at == s.end && g.synced >= s.base && (len(sc.groups) == 0 || g.chain == sc.chain) {
		sc.groups = append(sc.groups, g)
		sc.chain = g.sum
		s.end += Position(g.size())
		g, ok = parseGroup(sc.data[min(s.offset(s.end), s.size):], id)
	}
	return sc, nil
}

// has reports whether the log can be read from the position on in this segment.
func (sc *scan) has(at Position) bool {
	return len(sc.groups) > 0 && sc.segment.base <= at && at <= sc.segment.end
}

// follows reports whether this segment continues the log after the other one.
func (sc *scan) follows(before *scan) bool {
	return len(sc.groups) > 0 && sc.segment.base == before.segment.end && sc.groups[0].chain == before.chain
}

// rewrite writes the groups again that weren't known to be synced when the last one was written.
func (sc *scan) rewrite() error {
	s := sc.segment
	at := s.offset(sc.groups[len(sc.groups)-1].synced)
	return s.writeAt(sc.data[at:min(s.offset(s.end), s.size)], at)
}

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
	for _, sc := range r.order {
		if err := sc.rewrite(r.synced()); err != nil {
			return 0, err
		}
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
	if err != nil {
		return 0, err
	}
	return r.torn, nil
}

// Size returns the size of both files.
func (l *Log) Size() int64 { return l.segments[0].size + l.segments[1].size }

// reading is the result of reading a log.
type reading struct {
	order []*scan  // the segments that have the log from the position on
	tail  []remain // the beginnings of unfinished groups
	torn  int64    // about the size of the unfinished groups
}

// synced returns the position up to which the log is known to have been synced.
func (r *reading) synced() (synced Position) {
	for _, sc := range r.order {
		for i := range sc.groups {
			synced = max(synced, sc.groups[i].synced)
		}
	}
	return synced
}

func (l *Log) read(id ID, from Position, apply func(payload []byte, entries int) error) (*reading, error) {
	var scans [2]*scan
	for i, s := range l.segments {
		sc, err := scanSegment(s, id)
		if err != nil {
			return nil, err
		}
		scans[i] = sc
	}
	order, err := arrange(from, scans)
	if err != nil {
		return nil, err
	}
	r := &reading{order: order}
	if err := r.checkTail(scans, id); err != nil {
		return nil, err
	}
	for _, sc := range order {
		for i := range sc.groups {
			g := &sc.groups[i]
			if g.at < from || g.kind != changesGroup {
				continue
			}
			if err := apply(g.payload, int(g.entries)); err != nil {
				return nil, &DamagedError{sc.segment.name, sc.segment.offset(g.at), err.Error()}
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
		return nil, missing(from, scans)
	}
	if second.follows(first) {
		return []*scan{first, second}, nil
	}
	return []*scan{first}, nil
}

// missing says that the log doesn't have the position.
func missing(from Position, scans [2]*scan) error {
	for _, sc := range scans {
		if s := sc.segment; len(sc.groups) > 0 && s.end < from {
			return &DamagedError{s.name, s.offset(s.end), "the log ends before the position up to which it was applied"}
		}
	}
	return &DamagedError{
		scans[0].segment.name, -1,
		fmt.Sprintf("neither this file nor %s contains the expected log", scans[1].segment.name),
	}
}

// checkTail distinguishes an unfinished tail from damage: a later group proves that the log had
// been synced beyond the place where it ends now.
func (r *reading) checkTail(scans [2]*scan, id ID) error {
	last := r.order[len(r.order)-1]
	end := last.segment.end
	at := last.segment.offset(end)
	damaged := false
	for _, sc := range scans {
		sc.later(id, end, func(offset int64, g *group) {
			r.torn += g.size()
			r.tail = append(r.tail, remain{sc.segment, offset})
			damaged = damaged || g.synced > end
		})
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

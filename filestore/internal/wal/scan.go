package wal

import (
	"encoding/binary"
	"fmt"
)

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
	g, ok := parseGroup(sc.data)
	if !ok || g.kind != startGroup || g.log != id {
		return sc, nil
	}
	s.base, s.end = g.at, g.at
	for ok && g.log == id && g.at == s.end && (len(sc.groups) == 0 || g.chain == sc.chain) {
		sc.groups = append(sc.groups, g)
		sc.chain = g.sum
		s.end += Position(g.size())
		g, ok = parseGroup(sc.data[min(s.offset(s.end), s.size):])
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

// later calls fn with each whole group of the log, at or after the position, that stands anywhere
// in the segment.
func (sc *scan) later(id ID, at Position, fn func(offset int64, g *group)) {
	for i := 0; i+groupHeader <= len(sc.data); i += groupAlign {
		if !isGroupOf(sc.data[i:], id) {
			continue
		}
		if g, ok := parseGroup(sc.data[i:]); ok && g.at >= at {
			fn(int64(i), &g)
		}
	}
}

// isGroupOf reports whether b begins like a group of the log, whole or not.
func isGroupOf(b []byte, id ID) bool {
	le := binary.LittleEndian
	return len(b) >= groupHeader && le.Uint32(b) == groupMagic && le.Uint64(b[8:]) == uint64(id)
}

// rewrite writes the groups from the position on again.
func (sc *scan) rewrite(from Position) error {
	for i := range sc.groups {
		if g := &sc.groups[i]; g.at >= from {
			at := sc.segment.offset(g.at)
			if err := sc.segment.writeAt(sc.data[at:min(at+g.size(), int64(len(sc.data)))], at); err != nil {
				return err
			}
		}
	}
	return nil
}

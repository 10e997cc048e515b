package filestore

import (
	"encoding/binary"
	"fmt"
)

// recovery is what the log has that the database doesn't.
type recovery struct {
	log     changeLog
	frozen  map[*space]*overlay
	midway  bool  // a checkpoint was interrupted, and has left the indexes as they were meant to be then
	changes int   // that were applied
	cut     int64 // about how many bytes of groups weren't finished when the process, or the machine, stopped
	torn    []place
}

// place is in a segment.
type place struct {
	segment *segment
	offset  int64
}

// scan is a segment as it was found.
type scan struct {
	segment *segment
	data    []byte
	groups  []group // from the beginning, as far as they are whole and follow one another
	chain   uint32  // checksum of the last
}

// readSegment reads the groups that belong to the log.
func readSegment(s *segment, id logID) (*scan, error) {
	sc := &scan{segment: s, data: make([]byte, s.size)}
	if n, err := s.file.ReadAt(sc.data, 0); n < len(sc.data) {
		return nil, fmt.Errorf("filestore: read %s: %w", s.name, err)
	}
	g, ok := parseGroup(sc.data)
	if !ok || g.kind != startGroup || g.log != id {
		return sc, nil
	}
	s.base, s.end = g.at, g.at
	for ok && g.log == id && g.at == s.end && (len(sc.groups) == 0 || g.chain == sc.chain) {
		sc.groups = append(sc.groups, g)
		sc.chain = g.sum
		s.end += position(g.size())
		g, ok = parseGroup(sc.data[min(int64(s.end-s.base), s.size):])
	}
	return sc, nil
}

// has reports whether the log can be read on from the position in this segment.
func (sc *scan) has(at position) bool {
	return len(sc.groups) > 0 && sc.segment.base <= at && at <= sc.segment.end
}

// follows reports whether the segment goes on where the other one ends.
func (sc *scan) follows(before *scan) bool {
	return len(sc.groups) > 0 && sc.segment.base == before.segment.end && sc.groups[0].chain == before.chain
}

// later calls fn for each whole group of the log that stands anywhere in the segment, at or after the position.
func (sc *scan) later(id logID, at position, fn func(offset int64, g *group)) {
	le := binary.LittleEndian
	for i := 0; i+groupHeader <= len(sc.data); i += groupAlign {
		if le.Uint32(sc.data[i:]) != groupMagic || le.Uint64(sc.data[i+8:]) != uint64(id) {
			continue
		}
		if g, ok := parseGroup(sc.data[i:]); ok && g.at >= at {
			fn(int64(i), &g)
		}
	}
}

// recover reads the log from where the database is, and gets ready to go on where it ends.
func (e *engine) recover(hd head) (*recovery, error) {
	rec := &recovery{log: changeLog{id: hd.id, segments: e.committer.log.segments}, frozen: make(map[*space]*overlay), midway: hd.midway}
	var scans [2]*scan
	for i, s := range rec.log.segments {
		sc, err := readSegment(s, hd.id)
		if err != nil {
			return nil, err
		}
		scans[i] = sc
	}
	order, err := arrange(hd, scans)
	if err != nil {
		return nil, err
	}
	last := order[len(order)-1]
	if err := rec.checkTail(scans, last, hd.id); err != nil {
		return nil, err
	}
	for _, sc := range order {
		for i := range sc.groups {
			g := &sc.groups[i]
			if g.at < hd.log {
				continue
			}
			if err := e.replay(rec, g); err != nil {
				return nil, &DamagedError{Path: sc.segment.name, Offset: int64(g.at - sc.segment.base), What: err.Error()}
			}
		}
	}
	rec.log.active, rec.log.chain = last.segment, last.chain
	if err := rec.cutTail(); err != nil {
		return nil, fmt.Errorf("filestore: recover: %w", err)
	}
	for _, sc := range order { // what only the page cache had becomes durable before anybody is told of it
		if err := sc.rewrite(rec.log.known(order)); err != nil {
			return nil, fmt.Errorf("filestore: recover: %w", err)
		}
	}
	for _, s := range rec.log.segments {
		if err := s.sync(); err != nil {
			return nil, fmt.Errorf("filestore: recover: %w", err)
		}
	}
	rec.log.synced = last.segment.end
	return rec, nil
}

// known returns up to where the log says that it was synced.
func (*changeLog) known(order []*scan) (synced position) {
	for _, sc := range order {
		for i := range sc.groups {
			synced = max(synced, sc.groups[i].synced)
		}
	}
	return synced
}

// rewrite writes the groups from the position on once more: when a sync has failed, the next one doesn't write what the first one was for,
// though it is read.
func (sc *scan) rewrite(from position) error {
	for i := range sc.groups {
		if g := &sc.groups[i]; g.at >= from {
			at := int64(g.at - sc.segment.base)
			if _, err := sc.segment.file.WriteAt(sc.data[at:min(at+g.size(), int64(len(sc.data)))], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrange returns the segments that have the log from where the database is, in order.
func arrange(hd head, scans [2]*scan) ([]*scan, error) {
	first, second := scans[0], scans[1]
	if !first.has(hd.log) || (second.has(hd.log) && first.follows(second)) {
		first, second = second, first
	}
	if !first.has(hd.log) {
		return nil, lostLog(hd, scans)
	}
	if second.follows(first) {
		return []*scan{first, second}, nil
	}
	return []*scan{first}, nil
}

// lostLog says that the log doesn't have what the database refers to.
func lostLog(hd head, scans [2]*scan) error {
	path := scans[0].segment.name
	for _, sc := range scans {
		if len(sc.groups) > 0 && sc.segment.end < hd.log {
			return &DamagedError{Path: sc.segment.name, Offset: int64(sc.segment.end - sc.segment.base), What: "the database refers to what comes here in the log"}
		}
	}
	return &DamagedError{Path: path, Offset: -1, What: fmt.Sprintf("neither it nor %s is the log that the database goes on in", scans[1].segment.name)}
}

// checkTail tells a log that ends with a group that wasn't finished from one that is damaged: of the latter, a later group says
// that what comes here had been synced.
func (rec *recovery) checkTail(scans [2]*scan, last *scan, id logID) error {
	end := last.segment.end
	var damaged error
	for _, sc := range scans {
		sc.later(id, end, func(offset int64, g *group) {
			rec.cut += g.size()
			rec.torn = append(rec.torn, place{sc.segment, offset})
			if g.synced > end && damaged == nil {
				damaged = &DamagedError{
					Path: last.segment.name, Offset: int64(end - last.segment.base),
					What: "a group of changes that was synced can't be read",
				}
			}
		})
	}
	if damaged != nil {
		return damaged
	}
	at := int64(end - last.segment.base)
	rest := last.data[min(at, last.segment.size):]
	if len(rest) >= groupHeader && binary.LittleEndian.Uint32(rest) == groupMagic && binary.LittleEndian.Uint64(rest[8:]) == uint64(id) {
		rec.cut += min(int64(len(rest)), groupHeader+int64(binary.LittleEndian.Uint32(rest[4:])))
		rec.torn = append(rec.torn, place{last.segment, at})
	}
	return nil
}

// cutTail takes away what tells a group from anything else, so that the next recovery doesn't find the same groups again.
func (rec *recovery) cutTail() error {
	for _, p := range rec.torn {
		if _, err := p.segment.file.WriteAt(make([]byte, groupAlign), p.offset); err != nil {
			return err
		}
	}
	return nil
}

// replay applies the changes of a group.
func (e *engine) replay(rec *recovery, g *group) error {
	if g.kind != changesGroup {
		return nil
	}
	r := reader{rest: g.payload}
	for range g.entries {
		en, ok := r.next()
		if !ok {
			return fmt.Errorf("an entry of a group isn't one")
		}
		if _, err := decodeID(en.key); err != nil {
			return err
		}
		sp := e.space(string(en.app))
		frozen := rec.frozen[sp]
		if frozen == nil {
			frozen = newOverlay()
			rec.frozen[sp] = frozen
		}
		if err := e.replayEntry(rec, sp, frozen, &en); err != nil {
			return err
		}
		rec.changes++
	}
	if len(r.rest) > 0 {
		return fmt.Errorf("a group has more than its entries")
	}
	return nil
}

func (e *engine) replayEntry(rec *recovery, sp *space, frozen *overlay, en *entry) error {
	var old *version
	v := &version{value: en.value, due: never}
	switch en.kind {
	case putEntry:
		v.due = en.value.expiry()
	case touchEntry:
		old = frozen.latest(en.key)
		if old == nil {
			var err error
			if old, err = e.home.load(sp, en.key); err != nil {
				return err
			}
		}
		switch {
		case old == nil || old.value == nil || old.value.seen() > en.seen:
			return nil
		case old.value.seen() == en.seen: // the sweep has moved its entry
			v.value, v.due = old.value, old.value.expiry()
		default:
			v.value = append(value(nil), old.value...)
			v.value.setSeen(en.seen)
			v.value.setExpires(en.expires)
			v.due = min(old.due, v.value.expiry())
		}
	}
	s, _ := frozen.stage(en.key, v)
	s.publish()
	if rec.midway && v.value != nil {
		s.base.former = append(s.base.former, former{v.due, v.value.expiry(), granuleOf(v.value.seen()), en.value})
	}
	if v.value != nil {
		frozen.indexNames(en.key, old, v, old != nil, old != nil) // a touch doesn't change whose it is
		if rec.midway {
			old = nil // the entry that it had may be gone already
		}
		frozen.indexDue(en.key, old, v)
	}
	return nil
}

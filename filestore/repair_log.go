package filestore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// logChanges are what the log makes of sessions.
type logChanges struct {
	last map[logKey]*lastChange
}

type logKey struct{ app, key string }

// lastChange is what the changes of one session come to.
type lastChange struct {
	destroyed bool
	value     value // nil: it is as it was, but for the touch
	touched   bool
	seen      int64
	expires   int64
	met       bool // the database has the session
}

// foundGroup is a group and where it was found.
type foundGroup struct {
	group
	name   string
	offset int64
}

// readLog reads the changes that the database may not have. Of a log that is damaged in the middle it reads on behind that: each
// change says by itself what it has made of its session.
func (r *RepairReport) readLog(hd *head, segments [2]*segment) (*logChanges, error) {
	changes := &logChanges{last: make(map[logKey]*lastChange)}
	if hd != nil && !hd.open {
		return changes, nil
	}
	var all []foundGroup
	for _, s := range segments {
		if s.file == nil {
			continue
		}
		data := make([]byte, s.size)
		if err := readAll(s.file, data, 0); err != nil {
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
		all = findGroups(all, s.name, data)
	}
	groups, from := relevant(all, hd)
	if len(groups) == 0 {
		r.NoLog = true
		r.Problems = append(r.Problems, Problem{segments[0].name, -1, "the log isn't there, or isn't that of the database"})
	}
	r.apply(changes, groups, from)
	return changes, nil
}

// findGroups appends the groups that stand anywhere in a segment.
func findGroups(found []foundGroup, name string, data []byte) []foundGroup {
	for at := int64(0); at+groupHeader <= int64(len(data)); {
		if binary.LittleEndian.Uint32(data[at:]) == groupMagic {
			if g, ok := parseGroup(data[at:]); ok {
				found = append(found, foundGroup{g, name, at})
				at += g.size()
				continue
			}
		}
		at += groupAlign
	}
	return found
}

// relevant returns the groups that come after what the database has, in order, and where they should begin.
func relevant(all []foundGroup, hd *head) ([]foundGroup, position) {
	if len(all) == 0 {
		if hd == nil {
			return nil, 0
		}
		return nil, hd.log
	}
	id := slices.MaxFunc(all, func(a, b foundGroup) int { return cmp.Compare(a.at, b.at) }).log
	if hd != nil {
		id = hd.id
	}
	groups := slices.DeleteFunc(all, func(g foundGroup) bool { return g.log != id || hd != nil && g.at < hd.log })
	slices.SortFunc(groups, func(a, b foundGroup) int { return cmp.Compare(a.at, b.at) })
	switch {
	case hd != nil:
		return groups, hd.log
	default:
		return groups, groups[0].at
	}
}

// apply applies the groups. What is missing between them is reported if it had been synced: if not, a crash has cut it off, nobody
// was told that it was stored, and what comes behind it doesn't count either.
func (r *RepairReport) apply(changes *logChanges, groups []foundGroup, next position) {
	synced := position(0)
	for _, g := range groups {
		synced = max(synced, g.synced)
	}
	var before *foundGroup
	for i := range groups {
		g := &groups[i]
		if g.at != next || before != nil && g.chain != before.sum && g.at == next {
			if synced <= next {
				return
			}
			r.missing(before, g, int64(g.at-next))
		}
		entries, err := changesOf(&g.group)
		if err != nil {
			r.lose(Problem{g.name, g.offset, err.Error()}, g.size())
		}
		for _, en := range entries {
			changes.apply(en)
		}
		r.Changes += int64(len(entries))
		before, next = g, g.at+position(g.size())
	}
}

// missing reports that there is nothing, or something else, between two groups.
func (r *RepairReport) missing(before, after *foundGroup, n int64) {
	p := Problem{File: after.name, Offset: max(0, after.offset-n)}
	if before != nil {
		p.File, p.Offset = before.name, before.offset+before.size()
	}
	if n <= 0 {
		p.What = "the log goes on with something else than it did"
	} else {
		p.What = fmt.Sprintf("%s of the log can't be read", count(n, "byte"))
	}
	r.lose(p, max(n, 0))
}

func (r *RepairReport) lose(p Problem, n int64) {
	r.LostLog += n
	r.Problems = append(r.Problems, p)
}

func (c *logChanges) apply(en entry) {
	k := logKey{string(en.app), string(en.key)}
	l := c.last[k]
	if l == nil {
		l = new(lastChange)
		c.last[k] = l
	}
	switch en.kind {
	case putEntry:
		*l = lastChange{value: en.value}
	case destroyEntry:
		*l = lastChange{destroyed: true}
	case touchEntry:
		if !l.touched || en.seen > l.seen {
			l.touched, l.seen, l.expires = true, en.seen, en.expires
		}
	}
}

// knows reports whether the log says by itself what has become of a session.
func (c *logChanges) knows(app string, key []byte) bool {
	l := c.last[logKey{app, string(key)}]
	return l != nil && (l.destroyed || l.value != nil)
}

// outcome returns what has become of a session of the database; nil: it was destroyed.
func (c *logChanges) outcome(app string, key []byte, v value) value {
	l := c.last[logKey{app, string(key)}]
	if l == nil {
		return v
	}
	l.met = true
	if l.destroyed {
		return nil
	}
	if l.value != nil && l.value.revision() >= v.revision() {
		v = l.value
	}
	return l.touch(v)
}

func (l *lastChange) touch(v value) value {
	if !l.touched || v.seen() >= l.seen {
		return v
	}
	v = bytes.Clone(v)
	v.setSeen(l.seen)
	v.setExpires(l.expires)
	return v
}

// created writes the sessions that only the log has.
func (s *salvage) created() error {
	for k, l := range s.log.last {
		if l.met || l.value == nil {
			continue
		}
		if err := s.writer.add(k.app, []byte(k.key), l.touch(l.value)); err != nil {
			return err
		}
	}
	return nil
}

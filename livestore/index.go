package livestore

import (
	"slices"
	"sync"
)

// index finds the entries with the same name: that of a user or of a client. It has locks of its
// own, because the sessions of a user are in several shards. The empty name isn't indexed, because
// half of all sessions may have it.
type index struct {
	parts [shardCount]indexPart
}

// smallGroup is the maximum number of entries of one name in the table. If there are more, all but
// one move to a slice, because they would make their bucket too long.
const smallGroup = 8

type indexPart struct {
	mu     sync.Mutex
	table  table
	groups map[*entry][]*entry // of names with many entries, by the one in the table, which is included
}

func (x *index) init(kind int) {
	for i := range x.parts {
		x.parts[i].table.kind = kind
	}
}

func (x *index) part(hash uint32) *indexPart { return &x.parts[shardOf(hash)] }

// hold acquires the locks of the parts with the hashes, which may be one part. All callers that need
// two take them in the same order.
func (x *index) hold(a, b uint32) (release func()) {
	low, high := x.part(a), x.part(b)
	if low == high {
		low.mu.Lock()
		return low.mu.Unlock
	}
	if shardOf(a) > shardOf(b) {
		low, high = high, low
	}
	low.mu.Lock()
	high.mu.Lock()
	return func() {
		high.mu.Unlock()
		low.mu.Unlock()
	}
}

func (p *indexPart) add(e *entry) {
	if e.names.of(p.table.kind) == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addHeld(e)
}

// addHeld is add for a caller that holds the lock.
func (p *indexPart) addHeld(e *entry) {
	kind := p.table.kind
	name := e.names.of(kind)
	if name == "" {
		return
	}
	first, same := p.table.count(e.hash[kind], name)
	group := p.groups[first]
	if group == nil {
		p.table.insert(e)
		if same+1 > smallGroup {
			p.gather(e)
		}
		return
	}
	*e.position(kind) = int32(len(group)) //nolint:gosec // two billion sessions of one user don't fit into memory
	p.groups[first] = append(group, e)
}

// gather makes a group of the entries in the table with the name of first, which stays in the
// table.
func (p *indexPart) gather(first *entry) {
	kind := p.table.kind
	group := p.table.all(first.hash[kind], first.names.of(kind))
	for i, e := range group {
		*e.position(kind) = int32(i) //nolint:gosec // few
		if e != first {
			p.table.unlink(p.table.link(e))
		}
	}
	if p.groups == nil {
		p.groups = make(map[*entry][]*entry)
	}
	p.groups[first] = group
}

func (p *indexPart) remove(e *entry) {
	if e.names.of(p.table.kind) == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeHeld(e)
}

// removeHeld is remove for a caller that holds the lock.
func (p *indexPart) removeHeld(e *entry) {
	kind := p.table.kind
	if e.names.of(kind) == "" {
		return
	}
	first, link := e, p.table.link(e)
	if link == nil {
		first = p.table.find(e.hash[kind], e.names.of(kind))
	}
	var group []*entry
	if first != nil && len(p.groups) > 0 {
		group = p.groups[first]
	}
	if group == nil {
		if link != nil { // nil after Close
			p.table.unlink(link)
		}
		return
	}
	last := len(group) - 1
	at := *e.position(kind)
	group[at] = group[last]
	*group[at].position(kind) = at
	group[last] = nil
	group = group[:last]
	if link != nil {
		delete(p.groups, e)
		first = group[0]
		p.table.replace(link, first)
	}
	switch {
	case last == 1:
		delete(p.groups, first)
	case last > 64 && last < cap(group)/4:
		p.groups[first] = slices.Clone(group)
	default:
		p.groups[first] = group
	}
}

// snapshot returns the entries that currently have the name.
func (p *indexPart) snapshot(hash uint32, name string) []*entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if group := p.groups[p.table.find(hash, name)]; group != nil {
		return slices.Clone(group)
	}
	return p.table.all(hash, name)
}

// removeAll removes many entries, partition by partition: its cost is proportional to their number,
// and it holds each lock briefly.
func (x *index) removeAll(entries []*entry) {
	kind := x.parts[0].table.kind
	var ends [shardCount]int
	for _, e := range entries {
		ends[shardOf(e.hash[kind])]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	sorted := make([]*entry, len(entries))
	at := ends
	for _, e := range entries {
		part := shardOf(e.hash[kind])
		at[part]--
		sorted[at[part]] = e
	}
	begin := 0
	for i, end := range ends {
		for piece := range slices.Chunk(sorted[begin:end], sweepBatch) {
			x.parts[i].removePiece(piece)
		}
		begin = end
	}
}

func (p *indexPart) removePiece(entries []*entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table.warm(entries)
	for _, e := range entries {
		p.removeHeld(e)
	}
}

// tidy replaces the map when it is empty, because Go never shrinks a map.
func (p *indexPart) tidy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table.clip()
	if len(p.groups) == 0 {
		p.groups = nil
	}
}

func (p *indexPart) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table, p.groups = table{kind: p.table.kind}, nil
}

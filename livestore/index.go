package livestore

import (
	"slices"
	"sync"
)

// index finds the entries that share a name: a user's, or a client's. It has locks of its own, because the sessions of a
// user are in many shards. The empty name isn't indexed: it may stand for half of all sessions.
type index struct {
	parts [shardCount]indexPart
}

// indexPart has one entry for each name in its table. That is all for most names; only one that several entries have costs
// a slice of them, of which the entry in the table is one.
type indexPart struct {
	mu     sync.Mutex
	table  table
	groups map[*entry][]*entry // by the entry in the table
}

func (x *index) init(kind int) {
	for i := range x.parts {
		x.parts[i].table.kind = kind
	}
}

func (x *index) part(hash uint32) *indexPart { return &x.parts[shardOf(hash)] }

// hold takes the lock for a change of e's names that is not one of the name that the index goes by.
func (p *indexPart) hold(e *entry) (release func()) {
	if e.names.of(p.table.kind) == "" {
		return func() {}
	}
	p.mu.Lock()
	return p.mu.Unlock
}

func (p *indexPart) add(e *entry) {
	kind := p.table.kind
	name := e.names.of(kind)
	if name == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.table.find(e.hash[kind], name)
	if first == nil {
		p.table.insert(e)
		return
	}
	group := p.groups[first]
	if group == nil {
		first.pos[kind] = 0
		group = append(make([]*entry, 0, 2), first)
		if p.groups == nil {
			p.groups = make(map[*entry][]*entry)
		}
	}
	e.pos[kind] = int32(len(group)) //nolint:gosec // two billion sessions of one user don't fit into memory
	p.groups[first] = append(group, e)
}

func (p *indexPart) remove(e *entry) {
	if e.names.of(p.table.kind) == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeHeld(e)
}

func (p *indexPart) removeHeld(e *entry) {
	kind := p.table.kind
	first, link := e, p.table.link(e)
	if link == nil {
		first = p.table.find(e.hash[kind], e.names.of(kind))
	}
	var group []*entry
	if first != nil && len(p.groups) > 0 {
		group = p.groups[first]
	}
	if group == nil {
		if link != nil { // not if Close was faster
			p.table.unlink(link)
		}
		return
	}
	last := len(group) - 1
	at := e.pos[kind]
	group[at] = group[last]
	group[at].pos[kind] = at
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

// snapshot returns the entries that have the name now.
func (p *indexPart) snapshot(hash uint32, name string) []*entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.table.find(hash, name)
	if first == nil {
		return nil
	}
	if group := p.groups[first]; group != nil {
		return slices.Clone(group)
	}
	return []*entry{first}
}

// removeAll takes out many entries, each part's in turn: in proportion to their number, under a short hold of each lock.
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
	for _, e := range entries {
		if e.names.of(p.table.kind) != "" {
			p.removeHeld(e)
		}
	}
}

// tidy makes the map anew, which Go never shrinks, if nothing is left in it.
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

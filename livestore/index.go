package livestore

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
)

// index finds the entries that share a value: a user's, or a client's. It has locks of its own, because the sessions of a
// user are in many shards. The empty value isn't indexed: it may stand for half of all sessions.
type index struct {
	seed  maphash.Seed
	pos   func(*entry) *int32 // where the entry keeps its place in its group
	parts [shardCount]indexPart
}

// indexPart keeps apart the values that one entry has from those that many have: most have one, and a slice for each would
// be as large as everything else that the index keeps.
type indexPart struct {
	mu   sync.Mutex
	one  map[string]*entry
	many map[string][]*entry
	peak int
}

func (x *index) init(seed maphash.Seed, pos func(*entry) *int32) {
	x.seed, x.pos = seed, pos
	for i := range x.parts {
		x.parts[i].one, x.parts[i].many = make(map[string]*entry), make(map[string][]*entry)
	}
}

func (x *index) part(value string) *indexPart {
	return &x.parts[maphash.String(x.seed, value)%shardCount]
}

// move changes the value of e, a field of it, and the index with it.
func (x *index) move(field *string, value string, e *entry) {
	if *field == value {
		return
	}
	x.remove(*field, e)
	*field = strings.Clone(value)
	x.add(*field, e)
}

func (x *index) add(value string, e *entry) {
	if value == "" {
		return
	}
	p := x.part(value)
	p.mu.Lock()
	defer p.mu.Unlock()
	group := p.many[value]
	if group == nil {
		first := p.one[value]
		if first == nil {
			p.one[value] = e
			p.peak = max(p.peak, len(p.one))
			return
		}
		*x.pos(first) = 0
		delete(p.one, value)
		group = append(make([]*entry, 0, 2), first)
	}
	*x.pos(e) = int32(len(group)) //nolint:gosec // two billion sessions of one user don't fit into memory
	p.many[value] = append(group, e)
}

func (x *index) remove(value string, e *entry) {
	if value == "" {
		return
	}
	p := x.part(value)
	p.mu.Lock()
	defer p.mu.Unlock()
	group := p.many[value]
	if group == nil {
		delete(p.one, value)
		return
	}
	last := len(group) - 1
	at := *x.pos(e)
	group[at] = group[last]
	*x.pos(group[at]) = at
	group[last] = nil
	group = group[:last]
	switch {
	case last == 1:
		delete(p.many, value)
		p.one[value] = group[0]
	case last > 64 && last < cap(group)/4:
		p.many[value] = slices.Clone(group)
	default:
		p.many[value] = group
	}
}

// snapshot returns the entries that have the value now.
func (x *index) snapshot(value string) []*entry {
	p := x.part(value)
	p.mu.Lock()
	defer p.mu.Unlock()
	if group := p.many[value]; group != nil {
		return slices.Clone(group)
	}
	if e := p.one[value]; e != nil {
		return []*entry{e}
	}
	return nil
}

// shrink makes the map anew if most of its memory is unused, which Go never gives back.
func (p *indexPart) shrink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mostlyEmpty(len(p.one), p.peak) {
		p.one = maps.Collect(maps.All(p.one))
		p.peak = len(p.one)
	}
}

func (p *indexPart) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.one, p.many = make(map[string]*entry), make(map[string][]*entry)
}

package redisstore

import (
	"maps"
	"sync"
	"time"
)

const (
	burialsTime = time.Minute // how far back a server that takes another's place may be
	burialsMost = 4096        // how many are remembered in each shard
)

// burials are sessions of a shard that the node has destroyed lately. Redis may lose that when another server takes the place of the one that has acknowledged it; so
// the node destroys them once more then.
type burials struct {
	mu     sync.Mutex
	server string            // that has all of them
	list   map[string]burial // by member
	order  []timed
}

type burial struct {
	reason string
	at     time.Time
}

// timed is a burial in the order of time, unless there is a later one of the same member, or none any more.
type timed struct {
	member string
	at     time.Time
}

// add notes that a session was destroyed. answered: when Redis last answered; what was older than a minute by then is safe.
func (b *burials) add(member, reason string, answered time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.order) > 0 && (len(b.order) >= burialsMost || b.order[0].at.Before(answered.Add(-burialsTime))) {
		if first := b.order[0]; b.list[first.member].at.Equal(first.at) {
			delete(b.list, first.member)
		}
		b.order = b.order[1:]
	}
	if b.list == nil {
		b.list = map[string]burial{}
	}
	now := time.Now()
	b.list[member] = burial{reason, now}
	b.order = append(b.order, timed{member, now})
}

// forget is called when a session with this ID is created: it isn't the one that was destroyed.
func (b *burials) forget(member string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.list, member)
}

// lost returns what a server may not have heard of.
func (b *burials) lost(server string) map[string]burial {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server == "" || b.server == server {
		b.server = server
		return nil
	}
	return maps.Clone(b.list)
}

// done: the server has them now.
func (b *burials) done(server string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.server = server
}

// destroyAgain destroys what another server than before may have lost.
func (s *shard) destroyAgain() error {
	const doing = "destroying again"
	m := s.term.member
	again := &m.again[s.number]
	for member, b := range again.lost(s.server) {
		c := call{&m.store.engine.scripts.destroy, s.prefix, []string{member, s.term.name, b.reason, ""}}
		if _, err := m.store.change(s.term.ctx, doing, c); err != nil {
			return err
		}
	}
	again.done(s.server)
	return nil
}

// destroyed is told of each session that was destroyed through the node.
func (m *membership) destroyed(p place, reason string) {
	m.held[p.shard].drop("h" + p.member)
	m.again[p.shard].add(p.member, reason, m.answered[p.shard].load())
}

// forget is told of each session that was swept: a node that this is a view of doesn't hold it any more. That it may be back needs no care, as it has expired.
func (s *Store) forget(id string) {
	if s.member != nil {
		p := s.place(id)
		s.member.held[p.shard].drop("h" + p.member)
	}
}

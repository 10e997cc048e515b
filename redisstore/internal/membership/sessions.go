package membership

// SessionCreated is called before a session is created through the node.
func (m *Member) SessionCreated(shard int, member string) { m.tombstones[shard].remove(member) }

// SessionDestroyed is called when a session was destroyed through the node.
func (m *Member) SessionDestroyed(shard int, member, reason string) {
	m.held[shard].Remove(kindSession + member)
	m.tombstones[shard].add(member, reason, m.answered[shard].Load())
}

// SessionSwept is called when a session was swept through the node. It has expired, so that it
// needs no tombstone.
func (m *Member) SessionSwept(id string) {
	it := m.item(kindSession, id)
	m.held[it.shard].Remove(it.name)
}

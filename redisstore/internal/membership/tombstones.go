package membership

import (
	"maps"
	"sync"
	"time"
)

const (
	tombstoneAge  = time.Minute // how far behind a server may be that replaces another
	maxTombstones = 4096        // in each shard
)

// tombstones are the sessions of a shard that the node has destroyed lately. When another server
// replaces the one that has acknowledged this, their end may be lost; the node then destroys them
// again.
type tombstones struct {
	mu     sync.Mutex
	server string               // the server that has executed all of them
	list   map[string]tombstone // by member
	order  []tombstoneTime
}

type tombstone struct {
	reason string
	at     time.Time
}

// tombstoneTime is an element of tombstones.order. It is obsolete if the list has a later tombstone
// of the member, or none.
type tombstoneTime struct {
	member string
	at     time.Time
}

// add records that a session was destroyed. answered is when Redis last replied: all servers know
// tombstones that were older than tombstoneAge then.
func (t *tombstones) add(member, reason string, answered time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.order) > 0 && (len(t.order) >= maxTombstones || t.order[0].at.Before(answered.Add(-tombstoneAge))) {
		if first := t.order[0]; t.list[first.member].at.Equal(first.at) {
			delete(t.list, first.member)
		}
		t.order = t.order[1:]
	}
	if t.list == nil {
		t.list = map[string]tombstone{}
	}
	now := time.Now()
	t.list[member] = tombstone{reason, now}
	t.order = append(t.order, tombstoneTime{member, now})
}

// remove is called when a new session with that ID is created.
func (t *tombstones) remove(member string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.list, member)
}

// unknownTo returns the tombstones that a server may not know, by member.
func (t *tombstones) unknownTo(server string) map[string]tombstone {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.server == "" || t.server == server {
		t.server = server
		return nil
	}
	return maps.Clone(t.list)
}

// knownTo records that the server knows all tombstones.
func (t *tombstones) knownTo(server string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.server = server
}

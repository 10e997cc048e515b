package livestore

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// SweepVisited is Sweep, but returns the number of removed records and of visited entries.
func (s *Store) SweepVisited(now time.Time, n int) (removed, visited int) {
	recs, visited := s.sweep(now.UnixMicro(), n)
	return len(recs), visited
}

// Order is an order whose entries are made from IDs.
type Order struct {
	order   order
	entries map[string]*entry
}

func (o *Order) Insert(key int64, id string) {
	if o.entries == nil {
		o.entries = map[string]*entry{}
	}
	o.entries[id] = &entry{names: makeNames(&store.Record{ID: id}), hash: hashes{uint32(len(o.entries) % 4)}}
	o.order.insert(key, o.entries[id])
}

func (o *Order) Remove(key int64, id string) {
	o.order.remove(key, o.entries[id])
	delete(o.entries, id)
}

// FirstKey returns the lowest key.
func (o *Order) FirstKey() int64 { return o.order.firstKey() }

// FirstKeys returns the n lowest keys at or below limit, fewer if there are no more.
func (o *Order) FirstKeys(limit int64, n int) []int64 { return o.order.firstKeys(nil, limit, n) }

// PopFirst removes an entry with the lowest key.
func (o *Order) PopFirst() (id string) {
	id = o.order.popFirst().names.id()
	delete(o.entries, id)
	return id
}

func (o *Order) Blocks() int { return len(o.order.blocks) }

// OrderItem is an entry in an order.
type OrderItem struct {
	Key int64
	ID  string
}

// Snapshot returns a function that reads the snapshot, from the last back.
func (o *Order) Snapshot(from int64) func() []OrderItem {
	blocks := o.order.snapshot(from)
	return func() (items []OrderItem) {
		for c := (cursor{blocks: blocks}); c.next() && c.key >= from; {
			items = append(items, OrderItem{c.key, c.entry.names.id()})
		}
		return items
	}
}

// Nth is nth.
var Nth = nth

// Table is a table of users, with one entry for each ID.
type Table struct {
	table   table
	entries map[string]*entry
}

// Insert inserts an entry of the user, with a hash that must be the same for all entries of the
// user.
func (t *Table) Insert(id, user string, hash uint32) {
	if t.entries == nil {
		t.table.kind, t.entries = byUser, map[string]*entry{}
	}
	e := &entry{names: makeNames(&store.Record{ID: id, UserID: user}), hash: hashes{byUser: hash}}
	t.entries[id] = e
	t.table.insert(e)
}

func (t *Table) Remove(id string) {
	t.table.unlink(t.table.link(t.entries[id]))
	delete(t.entries, id)
}

// Find returns the IDs of the user's entries.
func (t *Table) Find(user string, hash uint32) (ids []string) {
	for _, e := range t.table.all(hash, user) {
		ids = append(ids, e.names.id())
	}
	return ids
}

// Size returns the number of buckets, and of the entries that are reachable from them.
func (t *Table) Size() (buckets, entries int) {
	for _, e := range t.table.buckets {
		for ; e != nil; e = e.next[byUser] {
			entries++
		}
	}
	return len(t.table.buckets), entries
}

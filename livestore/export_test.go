package livestore

import "time"

// SweepVisited is Sweep, and returns how many records were removed and how many entries were looked at for it.
func (s *Store) SweepVisited(now time.Time, n int) (removed, visited int) {
	recs, visited := s.sweep(now.UnixMicro(), n)
	return len(recs), visited
}

// Order is an order for tests, with the entries made from IDs.
type Order struct {
	order   order
	entries map[string]*entry
}

func (o *Order) Insert(key int64, id string) {
	if o.entries == nil {
		o.entries = map[string]*entry{}
	}
	o.entries[id] = &entry{id: id}
	o.order.insert(key, o.entries[id])
}

func (o *Order) Remove(key int64, id string) {
	o.order.remove(key, o.entries[id])
	delete(o.entries, id)
}

// First returns the ID that comes first, "" of an empty order.
func (o *Order) First() string {
	it, ok := o.order.first()
	if !ok {
		return ""
	}
	return it.e.id
}

func (o *Order) Blocks() int { return len(o.order.blocks) }

// Snapshot returns a function that reads the IDs in the snapshot, from the last back.
func (o *Order) Snapshot(from int64) func() []string {
	blocks := o.order.snapshot(from)
	return func() (ids []string) {
		c := cursor{blocks: blocks[:len(blocks):len(blocks)]}
		for c.next() && c.at.key >= from {
			ids = append(ids, c.at.e.id)
		}
		return ids
	}
}

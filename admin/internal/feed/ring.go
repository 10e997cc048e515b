package feed

import "sort"

// ring holds the last items that were added to it.
type ring struct {
	items   []Item // once all are used, the oldest is at next
	next    int    // where the next one goes
	used    int
	dropped uint64 // the number of the newest item that is not there any more
}

func newRing(room int) *ring { return &ring{items: make([]Item, room)} }

func (r *ring) add(it Item) {
	if r.used == len(r.items) {
		r.dropped = r.items[r.next].Number
	} else {
		r.used++
	}
	r.items[r.next] = it
	r.next = (r.next + 1) % len(r.items)
}

// at returns an item by its place; the oldest is at 0.
func (r *ring) at(i int) *Item {
	return &r.items[(r.next-r.used+i+len(r.items))%len(r.items)]
}

// after returns the place of the oldest item after the number; r.used if there is none.
func (r *ring) after(number uint64) int {
	return sort.Search(r.used, func(i int) bool { return r.at(i).Number > number })
}

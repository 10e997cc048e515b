// Package allowance limits how often something may happen.
//
// A [Pace] limits it in one place. A [Table], and a [Limit] with it, does so for each of many names
// that any client can choose. Their memory is bounded: they forget names whose allowance is whole
// again first, then any.
package allowance

import "time"

// Allowance is how often something may still happen; it grows back with time. The zero value is
// whole.
type Allowance struct {
	used float64
	at   time.Time
}

// Rate is how large an Allowance is, and how long it takes to grow back by one.
type Rate struct {
	InARow float64
	Every  time.Duration
}

// Take uses one. It returns false if none is left.
func (a *Allowance) Take(now time.Time, r Rate) bool {
	a.used = max(0, a.used-now.Sub(a.at).Seconds()/r.Every.Seconds())
	a.at = now
	if a.used > r.InARow-1 {
		return false
	}
	a.used++
	return true
}

// Whole reports whether all of it is there again.
func (a *Allowance) Whole(now time.Time, r Rate) bool {
	return a.used <= now.Sub(a.at).Seconds()/r.Every.Seconds()
}

// maxNames is how many names a Table remembers.
const maxNames = 4096

// Table has a value for each name. It is not safe for concurrent use.
type Table[V any] struct {
	byName map[string]*V
	whole  func(v *V, now time.Time) bool
}

// NewTable returns an empty Table. A value that is whole need not be remembered.
func NewTable[V any](whole func(v *V, now time.Time) bool) *Table[V] {
	return &Table[V]{byName: make(map[string]*V), whole: whole}
}

// Of returns the value of the name, a zero one if the name is unknown.
func (t *Table[V]) Of(name string, now time.Time) *V {
	v := t.byName[name]
	if v == nil {
		t.makeRoom(now)
		v = new(V)
		t.byName[name] = v
	}
	return v
}

// Len returns how many names the Table remembers.
func (t *Table[V]) Len() int { return len(t.byName) }

// makeRoom forgets names if there are too many: those that are whole, then any until three quarters
// are left. So its cost is spread over many calls.
func (t *Table[V]) makeRoom(now time.Time) {
	if len(t.byName) < maxNames {
		return
	}
	for name, v := range t.byName {
		if t.whole(v, now) {
			delete(t.byName, name)
		}
	}
	for name := range t.byName {
		if len(t.byName) <= maxNames*3/4 {
			return
		}
		delete(t.byName, name)
	}
}

package livestore

import "slices"

// fewestBuckets is what a table keeps when it shrinks.
const fewestBuckets = 8

// table finds entries by one of their hashes. The entries of a bucket are linked through themselves, so that a table costs 8
// bytes per entry, and taking one out compares no string.
//
// It has as many buckets as entries, give or take a half, and gets there by linear hashing: an insertion splits at most one
// bucket, a removal joins at most two pairs. No operation ever pays for the whole table.
type table struct {
	kind    int      // which of the hashes
	n       int      // entries
	mask    uint32   // the least 2^k - 1 that gives the index of each bucket
	buckets []*entry // of len(buckets) = mask+1 - x, the last x are still part of the bucket with the highest bit off
}

func (t *table) bucket(hash uint32) int {
	i := int(hash & t.mask)
	if i >= len(t.buckets) {
		i = int(hash & (t.mask >> 1))
	}
	return i
}

// find returns an entry with the name, whose hash is given.
func (t *table) find(hash uint32, name string) *entry {
	if t.n == 0 {
		return nil
	}
	for e := t.buckets[t.bucket(hash)]; e != nil; e = e.next[t.kind] {
		if t.has(e, hash, name) {
			return e
		}
	}
	return nil
}

// count returns how many entries have the name, and one of them.
func (t *table) count(hash uint32, name string) (one *entry, n int) {
	for e := t.find(hash, name); e != nil; e = e.next[t.kind] {
		if t.has(e, hash, name) {
			one = e
			n++
		}
	}
	return one, n
}

// all returns the entries that have the name.
func (t *table) all(hash uint32, name string) (same []*entry) {
	for e := t.find(hash, name); e != nil; e = e.next[t.kind] {
		if t.has(e, hash, name) {
			same = append(same, e)
		}
	}
	return same
}

func (t *table) has(e *entry, hash uint32, name string) bool {
	return e.hash[t.kind] == hash && e.names.of(t.kind) == name
}

func (t *table) insert(e *entry) {
	if t.n++; t.n > len(t.buckets) {
		t.split()
	}
	head := &t.buckets[t.bucket(e.hash[t.kind])]
	e.next[t.kind], *head = *head, e
}

// link returns the pointer that leads to e, nil if e isn't in the table.
func (t *table) link(e *entry) **entry {
	if t.n == 0 {
		return nil
	}
	link := &t.buckets[t.bucket(e.hash[t.kind])]
	for *link != e {
		if *link == nil {
			return nil
		}
		link = &(*link).next[t.kind]
	}
	return link
}

// warm reads what link will look at, of many entries that are about to be taken out. Nothing here waits for the outcome of a
// read, as link does at each step, so the processor can fetch the memory of all of them at once.
//
//go:noinline
func (t *table) warm(entries []*entry) (sum uint32) {
	if t.n == 0 {
		return 0
	}
	for _, e := range entries {
		if first := t.buckets[t.bucket(e.hash[t.kind])]; first != nil {
			sum += first.hash[t.kind]
		}
	}
	return sum
}

// unlink takes out the entry that the link leads to.
func (t *table) unlink(link **entry) {
	e := *link
	*link, e.next[t.kind] = e.next[t.kind], nil
	t.n--
	for range 2 {
		if len(t.buckets) <= fewestBuckets || t.n >= len(t.buckets)/2 {
			return
		}
		t.join()
	}
}

// replace puts e where the link leads to another entry with the same hash.
func (t *table) replace(link **entry, e *entry) {
	old := *link
	e.next[t.kind], *link, old.next[t.kind] = old.next[t.kind], e, nil
}

// split adds a bucket and moves into it what belongs there, all of it from one bucket.
func (t *table) split() {
	last := len(t.buckets)
	t.buckets = append(t.buckets, nil)
	if last == 0 {
		return
	}
	if last > int(t.mask) {
		t.mask = t.mask<<1 | 1
	}
	for link := &t.buckets[last&int(t.mask>>1)]; *link != nil; {
		e := *link
		if int(e.hash[t.kind]&t.mask) != last {
			link = &e.next[t.kind]
			continue
		}
		*link = e.next[t.kind]
		e.next[t.kind], t.buckets[last] = t.buckets[last], e
	}
}

// join undoes the last split.
func (t *table) join() {
	last := len(t.buckets) - 1
	link := &t.buckets[last&int(t.mask>>1)]
	for *link != nil {
		link = &(*link).next[t.kind]
	}
	*link, t.buckets[last] = t.buckets[last], nil
	t.buckets = t.buckets[:last]
	if last == int(t.mask>>1)+1 {
		t.mask >>= 1
	}
	if last < cap(t.buckets)/4 {
		t.clip()
	}
}

// clip gives back the memory of buckets that were joined.
func (t *table) clip() { t.buckets = slices.Clone(t.buckets) }

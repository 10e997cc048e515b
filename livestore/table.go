package livestore

import "slices"

// fewestBuckets is the minimum number of buckets of a table that shrinks.
const fewestBuckets = 8

// table finds entries by one of their hashes. The entries of a bucket are linked through their own
// fields, so that a table takes 8 bytes per entry, and a removal compares no strings.
//
// The number of buckets is within a factor of two of the number of entries. The table uses linear
// hashing: an insertion splits at most one bucket, a removal joins at most two pairs. No operation
// rehashes the whole table.
type table struct {
	kind    int      // index of the hash
	n       int      // number of entries
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

// count returns the number of entries with the name, and one of them.
func (t *table) count(hash uint32, name string) (one *entry, n int) {
	for e := t.find(hash, name); e != nil; e = e.next[t.kind] {
		if t.has(e, hash, name) {
			one = e
			n++
		}
	}
	return one, n
}

// all returns the entries with the name.
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

// link returns the pointer to e, nil if e isn't in the table.
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

// warm reads the memory that link will read, for many entries that are about to be removed. No step
// here depends on the result of an earlier one, as in link, so that the processor loads the memory
// of all entries at once.
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

// unlink removes the entry that the link points to.
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

// replace makes the link point to e instead of another entry with the same hash.
func (t *table) replace(link **entry, e *entry) {
	old := *link
	e.next[t.kind], *link, old.next[t.kind] = old.next[t.kind], e, nil
}

// split adds a bucket and moves the entries that belong there from one other bucket.
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

// join reverses the last split.
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

// clip releases the memory of buckets that were joined.
func (t *table) clip() { t.buckets = slices.Clone(t.buckets) }

package livestore

func (b *block) place(j int) place { return place{b.keys[j], b.hashes[j]} }

// after returns the first slot whose place is after that place, n if there is none.
func (b *block) after(at place) int {
	low, high := 0, int(b.n)
	if !at.before(b.place(high - 1)) {
		return high
	}
	for low < high {
		mid := int(uint(low+high) >> 1) //nolint:gosec // both are lengths
		if at.before(b.place(mid)) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// put inserts before slot j: into an adjacent gap, or by moving the following entries. The block
// must not be full.
func (b *block) put(j int, at place, e *entry) {
	n := int(b.n)
	switch {
	case j > 0 && b.entries[j-1] == nil:
		j--
	case j < n && b.entries[j] == nil:
	default:
		copy(b.keys[j+1:n+1], b.keys[j:n])
		copy(b.hashes[j+1:n+1], b.hashes[j:n])
		copy(b.entries[j+1:n+1], b.entries[j:n])
		b.n++
		if j <= int(b.first) && b.live > 0 {
			b.first++
		}
	}
	b.keys[j], b.hashes[j], b.entries[j] = at.key, at.hash, e
	if b.live == 0 || j < int(b.first) {
		b.first = uint8(j) //nolint:gosec // below blockSize
	}
	b.live++
}

// take appends the entries of another block from a slot on.
func (b *block) take(from *block, slot int) {
	for j := slot; j < int(from.n); j++ {
		if e := from.entries[j]; e != nil {
			b.keys[b.n], b.hashes[b.n], b.entries[b.n] = from.keys[j], from.hashes[j], e
			if b.live == 0 {
				b.first = b.n
			}
			b.n++
			b.live++
		}
	}
}

// compact closes the gaps.
func (b *block) compact() {
	dense := block{epoch: b.epoch}
	dense.take(b, 0)
	*b = dense
}

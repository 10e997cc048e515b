package livestore

import (
	"cmp"
	"slices"
)

// blockSize limits how many entries an insertion moves. A block fills an allocation of 1,280 bytes.
const blockSize = 63

// order keeps entries sorted by a key, and those with equal keys by the hash of their ID, because a
// day's sessions may all have the same key. It is a sorted slice of sorted blocks. An insertion at
// the end, which is the common case, is an append; any other costs two binary searches and a move
// within a block. A removal leaves a gap for a later insertion.
//
// A snapshot copies the list of blocks and shares the blocks themselves. A shared block is cloned
// before it is changed.
type order struct {
	blocks []span
	epoch  uint64 // number of snapshots taken
	spare  *block // the last block that became empty, for newSpan; no snapshot shares it
}

// span is a block with a place at or before its first entry.
type span struct {
	low place
	*block
}

type place struct {
	key  int64
	hash uint32
}

func placeOf(key int64, e *entry) place { return place{key, e.hash[byID]} }

func (p place) before(q place) bool { return p.key < q.key || p.key == q.key && p.hash < q.hash }

// block has n slots in use, including gaps, which keep their places. It always has an entry. If
// epoch isn't the order's, a snapshot shares the block, which is then read-only.
type block struct {
	epoch   uint64
	n, live uint8
	first   uint8 // slot of the first entry
	keys    [blockSize]int64
	hashes  [blockSize]uint32
	entries [blockSize]*entry // nil: a gap
}

// firstKey returns the lowest key, or never for an empty order.
func (o *order) firstKey() int64 {
	if len(o.blocks) == 0 {
		return never
	}
	b := o.blocks[0].block
	return b.keys[b.first]
}

// popFirst removes the entry with the lowest key.
func (o *order) popFirst() *entry {
	b := o.own(0)
	e := b.entries[b.first]
	o.clear(0, int(b.first))
	return e
}

// firstKeys appends up to n keys at or below limit to keys, in order.
func (o *order) firstKeys(keys []int64, limit int64, n int) []int64 {
	for _, s := range o.blocks {
		for j := int(s.first); j < int(s.n); j++ {
			switch {
			case s.keys[j] > limit || n == 0:
				return keys
			case s.entries[j] != nil:
				keys = append(keys, s.keys[j])
				n--
			}
		}
	}
	return keys
}

func (o *order) insert(key int64, e *entry) {
	at := placeOf(key, e)
	i := o.spanOf(at)
	if i < 0 {
		if len(o.blocks) > 0 && int(o.blocks[0].live) < blockSize {
			i = 0
		} else {
			o.blocks = slices.Insert(o.blocks, 0, o.newSpan(at, e))
			return
		}
	}
	b := o.own(i)
	if b.n == blockSize {
		switch {
		case b.live < blockSize*3/4:
			b.compact()
		case i == len(o.blocks)-1 && !at.before(b.place(blockSize-1)):
			o.blocks = append(o.blocks, o.newSpan(at, e))
			return
		case b.live < blockSize:
			b.compact()
		default:
			o.split(i)
			if !at.before(o.blocks[i+1].low) {
				i++
			}
			b = o.blocks[i].block
		}
	}
	j := b.after(at)
	b.put(j, at, e)
	if j == 0 {
		o.blocks[i].low = at
	}
}

// remove removes e, which must have been inserted with the key.
func (o *order) remove(key int64, e *entry) {
	at := placeOf(key, e)
	for i := o.spanOf(at); i >= 0; i-- {
		b := o.blocks[i].block
		for j := b.after(at) - 1; j >= 0 && b.place(j) == at; j-- {
			if b.entries[j] == e {
				o.own(i)
				o.clear(i, j)
				return
			}
		}
	}
}

// snapshot returns the blocks with keys at or above from, which may include lower keys. They never
// change.
func (o *order) snapshot(from int64) []*block {
	o.epoch++
	i, _ := slices.BinarySearchFunc(
		o.blocks,
		from,
		func(s span, from int64) int { return cmp.Compare(s.low.key, from) },
	)
	i = max(i-1, 0)
	blocks := make([]*block, 0, len(o.blocks)-i)
	for _, s := range o.blocks[i:] {
		blocks = append(blocks, s.block)
	}
	return blocks
}

// spanOf returns the last block that doesn't begin after the place, -1 if there is none.
func (o *order) spanOf(at place) int {
	low, high := 0, len(o.blocks)
	if high > 0 && !at.before(o.blocks[high-1].low) {
		return high - 1
	}
	for low < high {
		mid := int(uint(low+high) >> 1) //nolint:gosec // both are lengths
		if at.before(o.blocks[mid].low) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low - 1
}

// own returns a block that no snapshot shares.
func (o *order) own(i int) *block {
	s := &o.blocks[i]
	if s.epoch != o.epoch {
		own := *s.block
		own.epoch = o.epoch
		s.block = &own
	}
	return s.block
}

func (o *order) newSpan(at place, e *entry) span {
	b := o.spare
	if b == nil {
		b = new(block)
	}
	o.spare = nil
	b.epoch, b.n, b.first = o.epoch, 0, 0
	b.put(0, at, e)
	return span{at, b}
}

// clear makes a gap of a slot in an owned block, and joins a block that has few entries left with
// its neighbour.
func (o *order) clear(i, j int) {
	b := o.blocks[i].block
	b.entries[j] = nil
	if b.live--; b.live == 0 {
		o.spare = b
		o.blocks = slices.Delete(o.blocks, i, i+1)
		return
	}
	for b.entries[b.first] == nil {
		b.first++
	}
	if b.live%8 == 0 && b.live < blockSize*3/4 {
		o.join(i)
		o.join(i - 1)
	}
}

// split moves the second half of a full block to a new block.
func (o *order) split(i int) {
	const half = blockSize / 2
	left, right := o.blocks[i].block, &block{epoch: o.epoch}
	right.take(left, half)
	clear(left.entries[half:])
	left.n, left.live = half, half
	o.blocks = slices.Insert(o.blocks, i+1, span{right.place(0), right})
}

// join merges block i with the next one if the result has enough room not to be split again at
// once.
func (o *order) join(i int) {
	if i < 0 || i+1 >= len(o.blocks) || int(o.blocks[i].live)+int(o.blocks[i+1].live) > blockSize*3/4 {
		return
	}
	both := &block{epoch: o.epoch}
	both.take(o.blocks[i].block, 0)
	both.take(o.blocks[i+1].block, 0)
	o.blocks[i].block = both
	o.blocks = slices.Delete(o.blocks, i+1, i+2)
}

package livestore

import (
	"cmp"
	"slices"
	"sort"
)

// blockSize bounds what one insertion moves in memory: 2 KiB.
const blockSize = 128

// order keeps entries sorted by a key, and by ID among equal keys. It is a sorted slice of sorted blocks: an insertion at
// the end, which is the usual one, is an append; any other costs two binary searches and a move within a block.
//
// A snapshot copies the list of blocks and shares the blocks themselves; whoever changes a shared block clones it first.
type order struct {
	blocks []block
	epoch  uint64 // number of snapshots taken
}

type block struct {
	low   int64 // key of the first item
	epoch uint64
	items []item // never empty; shared with a snapshot, and so read only, if epoch isn't the order's
}

type item struct {
	key int64
	e   *entry
}

func (it item) compare(key int64, e *entry) int {
	if it.key != key {
		return cmp.Compare(it.key, key)
	}
	return cmp.Compare(it.e.id, e.id)
}

// first returns the item with the lowest key.
func (o *order) first() (item, bool) {
	if len(o.blocks) == 0 {
		return item{}, false
	}
	return o.blocks[0].items[0], true
}

func (o *order) insert(key int64, e *entry) {
	if len(o.blocks) == 0 {
		o.blocks = append(o.blocks, o.newBlock(item{key, e}))
		return
	}
	i := o.blockOf(key, e)
	j := o.blocks[i].position(key, e)
	if len(o.blocks[i].items) == blockSize {
		if i == len(o.blocks)-1 && j == blockSize {
			o.blocks = append(o.blocks, o.newBlock(item{key, e}))
			return
		}
		o.split(i)
		if j > blockSize/2 {
			i, j = i+1, j-blockSize/2
		}
	}
	b := o.own(i)
	b.items = slices.Insert(b.items, j, item{key, e})
	b.low = b.items[0].key
}

// remove takes out e, which must have been inserted with the key.
func (o *order) remove(key int64, e *entry) {
	i := o.blockOf(key, e)
	b := o.own(i)
	j := b.position(key, e)
	if len(b.items) == 1 {
		o.blocks = slices.Delete(o.blocks, i, i+1)
		return
	}
	b.items = slices.Delete(b.items, j, j+1)
	b.low = b.items[0].key
	o.join(i)
	o.join(i - 1)
}

// snapshot returns the blocks that hold keys at or above from, and may hold some below it. They never change.
func (o *order) snapshot(from int64) []block {
	o.epoch++
	i := sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i].low >= from })
	return slices.Clone(o.blocks[max(i-1, 0):])
}

// blockOf returns the block that holds the key or would: the last that doesn't begin after it.
func (o *order) blockOf(key int64, e *entry) int {
	low, high := 0, len(o.blocks)
	if last := high - 1; o.blocks[last].low < key {
		return last
	}
	for low < high {
		mid := int(uint(low+high) >> 1)
		b := &o.blocks[mid]
		if b.low < key || b.low == key && b.items[0].compare(key, e) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return max(low-1, 0)
}

func (b *block) position(key int64, e *entry) int {
	low, high := 0, len(b.items)
	if b.items[high-1].key < key {
		return high
	}
	for low < high {
		mid := int(uint(low+high) >> 1)
		if b.items[mid].compare(key, e) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// own returns a block that no snapshot shares.
func (o *order) own(i int) *block {
	b := &o.blocks[i]
	if b.epoch != o.epoch {
		b.items, b.epoch = slices.Clone(b.items), o.epoch
	}
	return b
}

func (o *order) newBlock(items ...item) block {
	return block{low: items[0].key, epoch: o.epoch, items: items}
}

func (o *order) split(i int) {
	const half = blockSize / 2
	b := o.own(i)
	right := o.newBlock(slices.Clone(b.items[half:])...)
	clear(b.items[half:])
	b.items = b.items[:half]
	o.blocks = slices.Insert(o.blocks, i+1, right)
}

// join merges block i with the next one if both together leave enough room that they won't be split again at once.
func (o *order) join(i int) {
	if i < 0 || i+1 >= len(o.blocks) || len(o.blocks[i].items)+len(o.blocks[i+1].items) > blockSize*3/4 {
		return
	}
	o.blocks[i] = o.newBlock(slices.Concat(o.blocks[i].items, o.blocks[i+1].items)...)
	o.blocks = slices.Delete(o.blocks, i+1, i+2)
}

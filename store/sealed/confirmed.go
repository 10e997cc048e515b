package sealed

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
)

// confirmedSlots is how many revisions are remembered at most. A power of two.
const confirmedSlots = 1 << 13

// confirmed remembers which revisions of which records have been opened or stored lately, as hashes.
// A Set of one of them needn't read the record again: the compare-and-set of the inner store makes
// sure that it replaces this revision. It takes no lock and allocates nothing.
type confirmed struct {
	seed  maphash.Seed
	slots [confirmedSlots]atomic.Uint64
}

func (c *confirmed) add(app, id string, revision uint64) {
	h := c.hash(app, id, revision)
	c.slots[h%confirmedSlots].Store(h)
}

func (c *confirmed) has(app, id string, revision uint64) bool {
	h := c.hash(app, id, revision)
	return h != 0 && c.slots[h%confirmedSlots].Load() == h // an empty slot is 0
}

func (c *confirmed) hash(app, id string, revision uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(app)
	_, _ = h.WriteString(id)
	var numbers [16]byte
	binary.LittleEndian.PutUint64(numbers[:], uint64(len(app)))
	binary.LittleEndian.PutUint64(numbers[8:], revision)
	_, _ = h.Write(numbers[:])
	return h.Sum64()
}

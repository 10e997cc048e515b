package filestore

import (
	"encoding/binary"
	"hash/crc32"
)

// The log is a sequence of groups: changes that became durable together, with one write and one sync. A group is either
// wholly there or not at all, which its checksum tells; it begins at a multiple of groupAlign. Numbers are little-endian.
//
//	 0  magic
//	 4  length of what follows the header
//	 8  ID of the log
//	16  position of the group in the log
//	24  position up to which the log was synced before this group was written
//	32  checksum of the group before it
//	36  kind
//	40  number of entries
//	44  checksum of all that
//
// The ID and the position tell the group from those that an earlier use of the file has left, and the checksum of the group
// before it from those that a crash has left behind what it cut.
const (
	groupMagic  = 0x31676273 // "sbg1"
	groupHeader = 48
	groupAlign  = 8

	changesGroup = 0
	startGroup   = 1 // begins a segment
)

// position is a place in the log, in bytes from where the log of the store began. Segments are used again, positions are not.
type position int64

// logID tells a log from any other, and from what the same files held before the store was last closed: it is new each time
// that a log is begun.
type logID uint64

type group struct {
	log     logID
	at      position
	synced  position
	chain   uint32
	kind    uint32
	entries uint32
	sum     uint32
	payload []byte
}

// size is how much of the log the group takes.
func (g *group) size() int64 { return aligned(groupHeader + int64(len(g.payload))) }

func aligned(n int64) int64 { return (n + groupAlign - 1) &^ (groupAlign - 1) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal completes the group in b, which has room for the header before the payload, and returns it with the padding.
func (g *group) seal(b []byte) []byte {
	length := len(b) - groupHeader
	le := binary.LittleEndian
	le.PutUint32(b[0:], groupMagic)
	le.PutUint32(b[4:], uint32(length)) //nolint:gosec // a group is smaller than a segment
	le.PutUint64(b[8:], uint64(g.log))
	le.PutUint64(b[16:], uint64(g.at))     //nolint:gosec // not negative
	le.PutUint64(b[24:], uint64(g.synced)) //nolint:gosec // not negative
	le.PutUint32(b[32:], g.chain)
	le.PutUint32(b[36:], g.kind)
	le.PutUint32(b[40:], g.entries)
	g.sum = groupSum(b)
	le.PutUint32(b[44:], g.sum)
	g.payload = b[groupHeader:]
	for len(b)%groupAlign != 0 {
		b = append(b, 0)
	}
	return b
}

func groupSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:44], castagnoli), castagnoli, b[groupHeader:])
}

// parseGroup returns the group that b begins with. It is false if there is none that is whole.
func parseGroup(b []byte) (g group, ok bool) {
	if len(b) < groupHeader {
		return g, false
	}
	le := binary.LittleEndian
	length := int64(le.Uint32(b[4:]))
	if le.Uint32(b) != groupMagic || length > int64(len(b)-groupHeader) {
		return g, false
	}
	b = b[:groupHeader+length]
	g = group{
		log: logID(le.Uint64(b[8:])), at: position(le.Uint64(b[16:])), synced: position(le.Uint64(b[24:])), //nolint:gosec // checked by the sum
		chain: le.Uint32(b[32:]), kind: le.Uint32(b[36:]), entries: le.Uint32(b[40:]), sum: le.Uint32(b[44:]),
		payload: b[groupHeader:],
	}
	return g, g.sum == groupSum(b) && g.at >= 0 && g.synced >= 0
}

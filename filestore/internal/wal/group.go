package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// A group begins at a multiple of groupAlign with this header. Numbers are little-endian.
//
//	 0  magic number
//	 4  length of the payload, which follows the header
//	 8  ID of the log
//	16  position of the group in the log
//	24  position up to which the log was synced before this group was written, at most its own
//	32  checksum of the previous group
//	36  kind
//	40  number of entries in the payload
//	44  checksum of the header up to here and of the payload
//
// The ID and the position distinguish the group from the remains of an earlier use of the file, and
// the checksum of the previous group distinguishes it from the remains of a tail that was cut off.
const (
	groupMagic  = 0x31676273 // "sbg1"
	groupHeader = 48
	groupAlign  = 8

	changesGroup = 0
	startGroup   = 1 // the first group of a segment
)

// Position is an offset in the log, in bytes since the log of the store was first created. The
// files are reused; positions are not.
type Position int64

// ID identifies a log. Create chooses a new one, so that the groups of an earlier log in the same
// files are never taken for its own.
type ID uint64

type group struct {
	at      Position
	synced  Position
	chain   uint32 // checksum of the previous group
	kind    uint32
	entries uint32
	sum     uint32
	payload []byte
}

// size returns the number of bytes that the group takes in the log.
func (g *group) size() int64 { return aligned(groupHeader + int64(len(g.payload))) }

func aligned(n int64) int64 { return (n + groupAlign - 1) &^ (groupAlign - 1) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal writes the header into b, which has room for it before the payload, and returns the padded
// group.
func (g *group) seal(b []byte, id ID) []byte {
	le := binary.LittleEndian
	le.PutUint32(b[0:], groupMagic)
	le.PutUint32(b[4:], uint32(len(b)-groupHeader)) //nolint:gosec // a group is smaller than a segment
	le.PutUint64(b[8:], uint64(id))
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

// isGroupOf reports whether b begins like a group of the log, whole or not.
func isGroupOf(b []byte, id ID) bool {
	le := binary.LittleEndian
	return len(b) >= groupHeader && le.Uint32(b) == groupMagic && le.Uint64(b[8:]) == uint64(id)
}

// parseGroup returns the group of the log at the beginning of b. It reports false if there is no
// whole one.
func parseGroup(b []byte, id ID) (g group, ok bool) {
	if !isGroupOf(b, id) {
		return g, false
	}
	le := binary.LittleEndian
	length := int64(le.Uint32(b[4:]))
	if length > int64(len(b)-groupHeader) {
		return g, false
	}
	b = b[:groupHeader+length]
	g = group{
		at:      Position(le.Uint64(b[16:])), //nolint:gosec // checked below
		synced:  Position(le.Uint64(b[24:])), //nolint:gosec // likewise
		chain:   le.Uint32(b[32:]),
		kind:    le.Uint32(b[36:]),
		entries: le.Uint32(b[40:]),
		sum:     le.Uint32(b[44:]),
		payload: b[groupHeader:],
	}
	return g, g.sum == groupSum(b) && 0 <= g.synced && g.synced <= g.at
}

package livestore

import (
	"encoding/binary"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// payload has the fields that a Set replaces as a whole and no index reads: the token hashes, times
// and counters in a compact encoding, followed by the data. Its bytes never change while it may be
// read.
type payload []byte

// The flags of a payload.
const (
	rotated  = 1 << iota // has the hash of a previous token, and the time of the rotation
	loggedIn             // has the time of the last login

	renewal = 2 // position of the bits of store.Renewal
)

// largestHeader is the size of the flags, three hashes, three varints and five times, rounded up.
const largestHeader = 192

func makePayload(rec *store.Record) payload {
	var buf [largestHeader]byte
	head := append(buf[:0], byte(rec.Renewal)<<renewal)
	head = append(head, rec.TokenHash[:]...)
	head = append(head, rec.WriteID[:]...)
	head = binary.AppendUvarint(head, rec.TokenGeneration)
	head = binary.AppendUvarint(head, rec.LoginGeneration)
	head = binary.AppendUvarint(head, rec.Writes)
	head = appendInt64(head, rec.Created.UnixMicro())
	head = appendInt64(head, int64(rec.Idle))
	head = appendInt64(head, int64(rec.Lifetime))
	if !rec.PrevTokenHash.IsZero() || !rec.RotatedAt.IsZero() {
		head[0] |= rotated
		head = append(head, rec.PrevTokenHash[:]...)
		head = appendInt64(head, rec.RotatedAt.UnixMicro())
	}
	if !rec.LoggedIn.IsZero() {
		head[0] |= loggedIn
		head = appendInt64(head, rec.LoggedIn.UnixMicro())
	}
	p := make(payload, len(head)+len(rec.Data))
	copy(p[copy(p, head):], rec.Data)
	return p
}

// fill sets the fields of rec that the payload has, except for the data, which it returns.
func (p payload) fill(rec *store.Record) (data []byte) {
	flags, rest := p[0], p[1:]
	rec.Renewal = store.Renewal(flags >> renewal)
	rest = rest[copy(rec.TokenHash[:], rest):]
	rest = rest[copy(rec.WriteID[:], rest):]
	rec.TokenGeneration, rest = uvarint(rest)
	rec.LoginGeneration, rest = uvarint(rest)
	rec.Writes, rest = uvarint(rest)
	created, rest := int64Of(rest)
	idle, rest := int64Of(rest)
	lifetime, rest := int64Of(rest)
	rec.Created, rec.Idle, rec.Lifetime = timeOf(created), time.Duration(idle), time.Duration(lifetime)
	if flags&rotated != 0 {
		var at int64
		rest = rest[copy(rec.PrevTokenHash[:], rest):]
		at, rest = int64Of(rest)
		rec.RotatedAt = timeOf(at)
	}
	if flags&loggedIn != 0 {
		var at int64
		at, rest = int64Of(rest)
		rec.LoggedIn = timeOf(at)
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}

func uvarint(from []byte) (uint64, []byte) {
	if from[0] < 0x80 {
		return uint64(from[0]), from[1:]
	}
	v, n := binary.Uvarint(from)
	return v, from[n:]
}

// appendInt64 appends a number that is usually large.
func appendInt64(to []byte, v int64) []byte {
	return binary.LittleEndian.AppendUint64(to, uint64(v)) //nolint:gosec // the bits, whatever the sign
}

func int64Of(from []byte) (int64, []byte) {
	return int64(binary.LittleEndian.Uint64(from)), from[8:] //nolint:gosec // the bits, whatever the sign
}

package main

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/store"
)

// key is the ID of a session as 16 bytes.
type key [16]byte

// keyOf returns the ID of the nth session: scattered like random ones, but found again.
func keyOf(n int) key {
	var k key
	binary.LittleEndian.PutUint64(k[:8], scatter(2*uint64(n)))   //nolint:gosec // sessions count from 0
	binary.LittleEndian.PutUint64(k[8:], scatter(2*uint64(n)+1)) //nolint:gosec // likewise
	k[6], k[8] = k[6]&0x0f|0x40, k[8]&0x3f|0x80
	return k
}

func idOf(n int) string { return uuid.UUID(keyOf(n)).String() }

// scatter is the output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators).
func scatter(x uint64) uint64 {
	x = (x + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// firstClient is the number of the key that is the ID of the first session's browser.
const firstClient = 1 << 40

// firstRequest is when the first session was created. None is created again: a store has them in its indexes
// by that.
var firstRequest = time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Millisecond)

// fileSession returns the nth session, as it is when it is stored for the count-th time: the record
// of the heap rows, but for the scattered IDs.
func fileSession(n int, count uint64, now time.Time) store.Record {
	return store.Record{
		ID:              idOf(n),
		TokenHash:       store.TokenHash{byte(n), 1},
		TokenGeneration: 1,
		ClientID:        idOf(firstClient + n),
		UserID:          "user-" + strconv.Itoa(n/2),
		Addr:            "192.0.2.1",
		UserAgent:       userAgent,
		Data:            []byte(sessionData),
		Created:         firstRequest.Add(-time.Duration(n) * time.Millisecond),
		Seen:            now,
		Expires:         now.Add(24 * time.Hour),
		Idle:            24 * time.Hour,
		Writes:          count,
		Revision:        count - 1,
		WriteID:         store.WriteID{byte(count), 1},
	}
}

// peerValue is a record as the peers keep it: as large as ours, its fields as quick to reach. The
// fixed part is revision, writes, seen, expires, created (in microseconds), due (where the index of
// expiries has the session), the minute that the index of activity has it under, token hash and
// write ID.
type peerValue []byte

const (
	atDue     = 40
	atMinute  = 48
	fixedPart = 52 + 32 + 16
)

func (v peerValue) revision() uint64 { return binary.LittleEndian.Uint64(v) }
func (v peerValue) expires() uint64  { return binary.LittleEndian.Uint64(v[24:]) }
func (v peerValue) due() uint64      { return binary.LittleEndian.Uint64(v[atDue:]) }
func (v peerValue) minute() uint32   { return binary.LittleEndian.Uint32(v[atMinute:]) }
func (v peerValue) setDue(t uint64)  { binary.LittleEndian.PutUint64(v[atDue:], t) }

// encode returns the record at its next revision.
func encode(rec *store.Record) peerValue {
	const minute = 60e6
	v := make(peerValue, 0, fixedPart+64+len(rec.UserID)+len(rec.Addr)+len(rec.UserAgent)+len(rec.Data))
	for _, n := range []uint64{
		rec.Revision + 1, rec.Writes,
		micros(rec.Seen), micros(rec.Expires), micros(rec.Created), micros(rec.Expires),
	} {
		v = binary.LittleEndian.AppendUint64(v, n)
	}
	v = binary.LittleEndian.AppendUint32(v, uint32(micros(rec.Seen)/minute)) //nolint:gosec // for another 8000 years
	v = append(v, rec.TokenHash[:]...)
	v = append(v, rec.WriteID[:]...)
	v = binary.AppendVarint(v, int64(rec.Idle))
	v = binary.AppendVarint(v, int64(rec.Lifetime))
	v = binary.AppendUvarint(v, rec.TokenGeneration)
	client := uuid.MustParse(rec.ClientID)
	v = append(v, client[:]...)
	for _, s := range []string{rec.UserID, rec.Addr, rec.UserAgent} {
		v = append(binary.AppendUvarint(v, uint64(len(s))), s...)
	}
	return append(v, rec.Data...)
}

func micros(t time.Time) uint64 { return uint64(t.UnixMicro()) } //nolint:gosec // it is after 1970

var errValue = errors.New("the value isn't a record")

// decode returns the record. It shares no memory with the value.
func (v peerValue) decode(k key) (store.Record, error) {
	rec := store.Record{ID: uuid.UUID(k).String()}
	if len(v) < fixedPart {
		return rec, errValue
	}
	rec.Revision = v.revision()
	rec.Writes = binary.LittleEndian.Uint64(v[8:])
	for i, t := range []*time.Time{&rec.Seen, &rec.Expires, &rec.Created} {
		*t = time.UnixMicro(int64(binary.LittleEndian.Uint64(v[16+8*i:]))).UTC() //nolint:gosec // as encoded
	}
	copy(rec.TokenHash[:], v[fixedPart-48:])
	copy(rec.WriteID[:], v[fixedPart-16:])
	rest := v[fixedPart:]
	var n int64
	for _, d := range []*time.Duration{&rec.Idle, &rec.Lifetime} {
		n, rest = varint(rest)
		*d = time.Duration(n)
	}
	rec.TokenGeneration, rest = uvarint(rest)
	if len(rest) < 16 {
		return rec, errValue
	}
	rec.ClientID, rest = uuid.UUID(rest[:16]).String(), rest[16:]
	for _, s := range []*string{&rec.UserID, &rec.Addr, &rec.UserAgent} {
		var size uint64
		if size, rest = uvarint(rest); size > uint64(len(rest)) {
			return rec, errValue
		}
		*s, rest = string(rest[:size]), rest[size:]
	}
	rec.Data = append([]byte{}, rest...)
	return rec, nil
}

// owner returns the client's key and the user, as the indexes need them.
func (v peerValue) owner() (client, user []byte) {
	_, rest := varint(v[fixedPart:])
	_, rest = varint(rest)
	_, rest = uvarint(rest)
	client = rest[:16]
	size, rest := uvarint(rest[16:])
	return client, rest[:size]
}

func varint(b []byte) (int64, []byte) {
	n, size := binary.Varint(b)
	return n, b[max(size, 0):]
}

func uvarint(b []byte) (uint64, []byte) {
	n, size := binary.Uvarint(b)
	return n, b[max(size, 0):]
}

package filestore

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
)

// An ID is stored as one byte that tells how, and then either the 16 bytes that a UUID stands for, or the ID itself.
const (
	plainID = 0
	uuidID  = 1
)

// appendID appends the ID as it is stored.
func appendID(b []byte, id string) []byte {
	if raw, ok := parseUUID(id); ok {
		return append(append(b, uuidID), raw[:]...)
	}
	return append(append(b, plainID), id...)
}

var errID = errors.New("not an ID")

// decodeID returns the ID that appendID has stored.
func decodeID(b []byte) (string, error) {
	switch {
	case len(b) == 17 && b[0] == uuidID:
		return formatUUID([16]byte(b[1:])), nil
	case len(b) >= 1 && b[0] == plainID:
		return string(b[1:]), nil
	}
	return "", errID
}

// parseUUID returns the bytes of a UUID in the form that formatUUID gives, and of no other: whatever is stored must come
// back as it was.
func parseUUID(s string) (raw [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return raw, false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		switch i {
		case 8, 13, 18, 23:
			i++
		}
		high, low := hexValues[s[i]], hexValues[s[i+1]]
		if high|low > 15 {
			return raw, false
		}
		raw[at] = high<<4 | low
		at++
	}
	return raw, true
}

func formatUUID(raw [16]byte) string {
	var b [36]byte
	hex.Encode(b[:8], raw[:4])
	b[8] = '-'
	hex.Encode(b[9:13], raw[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], raw[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], raw[8:10])
	b[23] = '-'
	hex.Encode(b[24:], raw[10:])
	return string(b[:])
}

// hexValues are the values of the lower-case hexadecimal digits; 255: it is none.
var hexValues = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i, c := range []byte("0123456789abcdef") {
		values[c] = byte(i) //nolint:gosec // below 16
	}
	return values
}()

// appendTime appends a time so that earlier ones sort first.
func appendTime(b []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t)^(1<<63)) //nolint:gosec // the bits, whatever they mean
}

func decodeTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ (1 << 63)) } //nolint:gosec // likewise

// A granule is a minute, as the index by activity counts it, from the Unix epoch; what is before that is in the first.
const granule = 60 * 1e6

func granuleOf(micros int64) uint32 {
	return uint32(min(max(micros/granule, 0), math.MaxUint32)) //nolint:gosec // in range
}

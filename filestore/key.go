package filestore

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// The key of a session is a byte that says how the ID is encoded, followed by the 16 bytes of a
// UUID or by the ID itself.
const (
	plainID = 0
	uuidID  = 1
)

// appendID appends the key of the session with the ID.
func appendID(b []byte, id string) []byte {
	if raw, ok := uuidtext.Parse(id); ok {
		return append(append(b, uuidID), raw[:]...)
	}
	return append(append(b, plainID), id...)
}

var errID = errors.New("invalid key of a session")

// decodeID returns the ID of the session with the key.
func decodeID(b []byte) (string, error) {
	switch {
	case len(b) == 17 && b[0] == uuidID:
		return uuidtext.Format([uuidtext.Size]byte(b[1:])), nil
	case len(b) >= 1 && b[0] == plainID:
		return string(b[1:]), nil
	}
	return "", errID
}

// isKey reports whether b is the result of appendID: of each ID there is only one key.
func isKey(b []byte) bool {
	if len(b) == 17 && b[0] == uuidID {
		return true
	}
	id, err := decodeID(b)
	_, isUUID := uuidtext.Parse(id)
	return err == nil && !isUUID
}

// appendTime appends a time in an encoding that sorts like the times.
func appendTime(b []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t)^(1<<63)) //nolint:gosec // a conversion of bits
}

func decodeTime(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b) ^ (1 << 63)) //nolint:gosec // likewise
}

// granule is the resolution of the index by activity: a minute, in microseconds.
const granule = 60 * 1e6

// granuleOf returns the minutes since the Unix epoch; earlier times are in the first minute.
func granuleOf(micros int64) uint32 {
	return uint32(min(max(micros/granule, 0), math.MaxUint32)) //nolint:gosec // in range
}

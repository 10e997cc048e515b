package filestore

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// An ID is stored as one byte that tells how, and then either the 16 bytes that a UUID stands for, or the ID itself.
const (
	plainID = 0
	uuidID  = 1
)

// appendID appends the ID as it is stored.
func appendID(b []byte, id string) []byte {
	if raw, ok := uuidtext.Parse(id); ok {
		return append(append(b, uuidID), raw[:]...)
	}
	return append(append(b, plainID), id...)
}

var errID = errors.New("not an ID")

// decodeID returns the ID that appendID has stored.
func decodeID(b []byte) (string, error) {
	switch {
	case len(b) == 17 && b[0] == uuidID:
		return uuidtext.Format([uuidtext.Size]byte(b[1:])), nil
	case len(b) >= 1 && b[0] == plainID:
		return string(b[1:]), nil
	}
	return "", errID
}

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

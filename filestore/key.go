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

// An entry of the log is the result of one change of one session. Applying it again to a database
// that has it already changes nothing.
const (
	putEntry     = 1 // the record
	destroyEntry = 2
	touchEntry   = 3 // seen and expires, unless the record was seen later
)

type entry struct {
	kind    byte
	app     []byte
	key     []byte // of the session
	value   value  // of a put
	seen    int64  // of a touch
	expires int64
}

// maxEntryHead is the most bytes of an entry beside its app, its key and its value.
const maxEntryHead = 1 + 3*binary.MaxVarintLen32 + 16

func appendEntry(b []byte, kind byte, app string, key []byte, v value) []byte {
	b = append(b, kind)
	b = appendText(b, app)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	switch kind {
	case putEntry:
		b = binary.AppendUvarint(b, uint64(len(v)))
		b = append(b, v...)
	case touchEntry:
		b = append(b, v[atSeen:atCreated]...)
	}
	return b
}

// entry reads an entry. It reports false if there is no valid one.
func (r *reader) entry() (e entry, ok bool) {
	e.kind = r.byte()
	e.app = r.text()
	e.key = r.text()
	switch e.kind {
	case putEntry:
		e.value = r.text()
		if !e.value.valid() {
			return e, false
		}
	case destroyEntry:
	case touchEntry:
		if b := r.bytes(atCreated - atSeen); b != nil {
			e.seen = int64(binary.LittleEndian.Uint64(b))        //nolint:gosec // a conversion of bits
			e.expires = int64(binary.LittleEndian.Uint64(b[8:])) //nolint:gosec // likewise
		}
	default:
		return e, false
	}
	return e, !r.failed && isKey(e.key)
}

var errEntries = errors.New("a group of changes has invalid content")

// entries calls fn with each of the n entries of a group.
func entries(payload []byte, n int, fn func(e *entry) error) error {
	r := reader{rest: payload}
	for range n {
		e, ok := r.entry()
		if !ok {
			return errEntries
		}
		if err := fn(&e); err != nil {
			return err
		}
	}
	if len(r.rest) > 0 {
		return errEntries
	}
	return nil
}

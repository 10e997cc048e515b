package filestore

import (
	"bytes"
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

// maxName is the most bytes of an ID, a user ID or a client ID, which are in keys of the indexes.
const maxName = 8 << 10

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
	id, err := decodeID(b)
	return err == nil && bytes.Equal(b, appendID(nil, id))
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
	b = appendText(appendText(append(b, kind), app), key)
	switch kind {
	case putEntry:
		b = appendText(b, v)
	case touchEntry:
		b = append(b, v[atSeen:atCreated]...)
	}
	return b
}

// entry reads an entry. It reports false if there is no valid one.
func (r *reader) entry() (e entry, ok bool) {
	if kind := r.bytes(1); kind != nil {
		e.kind = kind[0]
	}
	e.app, e.key = r.text(), r.text()
	switch e.kind {
	case putEntry:
		e.value = r.text()
		if !e.value.valid() {
			return e, false
		}
	case destroyEntry:
	case touchEntry:
		if b := r.bytes(atCreated - atSeen); b != nil {
			e.seen, e.expires = value(b).time(0), value(b).time(atExpires-atSeen)
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

// The indexes, in the order of bucketNames.indexes. Their keys begin with the indexed value and end
// with the key of the session.
const (
	byDue = iota
	bySeen
	byUser
	byClient
	indexes
)

// place is where the indexes have a session.
type place struct {
	due     int64
	granule uint32
	owner   value // has the user and the client
}

func placeOf(v value, due int64) place { return place{due, granuleOf(v.seen()), v} }

// appendKey appends the session's key in an index. It appends nothing if the index doesn't have the
// session.
func (p *place) appendKey(b []byte, index int, key []byte) []byte {
	switch user, client := p.owner.owner(); {
	case index == byDue && p.due != never:
		return dueKey(b, p.due, key)
	case index == bySeen:
		return seenKey(b, p.granule, key)
	case index == byUser && len(user) > 0:
		return userKey(b, user, key)
	case index == byClient && len(client) > 0:
		return clientKey(b, client, p.owner.uuidClient(), key)
	}
	return b
}

const (
	dueKeyTime     = 8 // bytes of the time in a dueKey
	seenKeyGranule = 4 // bytes of the minute in a seenKey
)

// dueKey is a key of the index by expiry. The entry of a session stands at its expiry or before. It
// moves when the sweep finds it too early, and when the expiry moves before it. Most changes only
// move the expiry later, and need not change the index.
func dueKey(b []byte, due int64, key []byte) []byte { return append(appendTime(b, due), key...) }

// seenKey is a key of the index by activity. The order within a minute is determined when reading.
func seenKey(b []byte, granule uint32, key []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, granule), key...)
}

// userKey is a key of the index by user. The length in front of the user ID makes sure that the
// keys of no other user have the same prefix.
func userKey(b, user, key []byte) []byte {
	return append(appendText(b, user), key...)
}

// clientKey is a key of the index by client, with the client ID as returned by value.owner.
func clientKey(b, client []byte, isUUID bool, key []byte) []byte {
	if isUUID {
		return append(append(append(b, uuidID), client...), key...)
	}
	return append(appendText(append(b, plainID), client), key...)
}

// clientPrefix returns the beginning of the keys of the client's sessions in the index by client.
func clientPrefix(clientID string) []byte {
	if raw, ok := uuidtext.Parse(clientID); ok {
		return clientKey(nil, raw[:], true, nil)
	}
	return clientKey(nil, []byte(clientID), false, nil)
}

package filestore

import "encoding/binary"

// An entry of the log says what one change has made of one session. Entries carry the outcome, so that applying them again
// to a database that has them already changes nothing.
const (
	putEntry     = 1 // the record that is stored now
	destroyEntry = 2
	touchEntry   = 3 // seen and expires, unless the record was seen later than that
)

type entry struct {
	kind    byte
	app     []byte
	key     []byte // the ID, as appendID stores it
	value   value  // of a put
	seen    int64  // of a touch
	expires int64
}

// maxEntryHead is the most that an entry takes beside its app, its key and its value.
const maxEntryHead = 1 + 3*binary.MaxVarintLen32 + 16

func appendEntry(b []byte, kind byte, app string, key []byte) []byte {
	b = append(b, kind)
	b = appendText(b, app)
	b = binary.AppendUvarint(b, uint64(len(key)))
	return append(b, key...)
}

func appendPut(b []byte, app string, key []byte, v value) []byte {
	b = appendEntry(b, putEntry, app, key)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendDestroy(b []byte, app string, key []byte) []byte {
	return appendEntry(b, destroyEntry, app, key)
}

func appendTouch(b []byte, app string, key []byte, v value) []byte {
	b = appendEntry(b, touchEntry, app, key)
	return append(b, v[atSeen:atCreated]...)
}

// next reads the next entry of a group. It is false if there is none that makes sense, which a checksum that is right rules out.
func (r *reader) next() (e entry, ok bool) {
	e.kind = r.byte()
	e.app = r.text()
	e.key = r.text()
	switch e.kind {
	case putEntry:
		e.value = r.text()
		if len(e.value) < atVariable {
			return e, false
		}
	case destroyEntry:
	case touchEntry:
		if b := r.bytes(atCreated - atSeen); b != nil {
			e.seen = int64(binary.LittleEndian.Uint64(b))        //nolint:gosec // the bits, whatever they mean
			e.expires = int64(binary.LittleEndian.Uint64(b[8:])) //nolint:gosec // likewise
		}
	default:
		return e, false
	}
	return e, !r.failed
}

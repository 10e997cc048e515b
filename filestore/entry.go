package filestore

import "encoding/binary"

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

// entries calls fn with each entry of a group. It reports false if the group has other content than
// that number of entries.
func entries(payload []byte, n int, fn func(e *entry) error) (ok bool, err error) {
	r := reader{rest: payload}
	for range n {
		e, ok := r.entry()
		if !ok {
			return false, nil
		}
		if err := fn(&e); err != nil {
			return true, err
		}
	}
	return len(r.rest) == 0, nil
}

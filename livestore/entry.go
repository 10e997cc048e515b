package livestore

import (
	"math"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// never is the expiry of entries that don't expire, where expiries are compared.
const never = math.MaxInt64

// noTime is the zero time.Time in the unit of entry.
var noTime = time.Time{}.UnixMicro()

// The hash tables that an entry may be in, as indexes of its arrays.
const (
	byID = iota
	byUser
	byClient
	tables
)

// entry is a session, in 128 bytes and two more allocations: its names and its payload. Both are
// replaced, never changed in place, so that a reader may copy the pointers under the lock and read
// them afterwards. Times are Unix microseconds.
//
// The shard's lock guards the entry; once removed it is immutable. The fields that indexes read
// under their own locks (names, hash, next and pos) are written under both locks.
type entry struct {
	names names
	next  [tables]*entry // in the same bucket
	hash  [tables]uint32 // of the ID, the user ID and the client ID
	pos   [2]int32       // position in its group, of the index by user and of that by client
	dead  bool           // destroyed or swept; snapshots may still refer to it

	payload  payload
	seen     int64
	expires  int64
	due      int64 // key in the order by expiry, at or before the expiry; never: not in the order
	revision uint64
}

// position returns the position in its group of one of the indexes.
func (e *entry) position(kind int) *int32 { return &e.pos[kind-byUser] }

// expiry returns when the entry expires, as a key of the order.
func (e *entry) expiry() int64 {
	if e.expires == noTime {
		return never
	}
	return e.expires
}

// look copies the parts of the entry that fill needs for a record.
func (e *entry) look() look {
	return look{e.names, e.payload, e.seen, e.expires, e.revision}
}

type look struct {
	names         names
	payload       payload
	seen, expires int64
	revision      uint64
}

// fill completes the record. It returns the stored data, not a copy.
func (l *look) fill(rec *store.Record) (data []byte) {
	l.names.fill(rec)
	rec.Seen, rec.Expires, rec.Revision = timeOf(l.seen), timeOf(l.expires), l.revision
	return l.payload.fill(rec)
}

func timeOf(micros int64) time.Time {
	if micros == noTime {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

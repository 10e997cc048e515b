package livestore

import (
	"math"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// never stands for the expiry of what doesn't expire, where expiries are compared.
const never = math.MaxInt64

// noTime is the zero time.Time in the unit of entry.
var noTime = time.Time{}.UnixMicro()

// The hash tables that an entry may be in, as indexes of what it keeps for them.
const (
	byID = iota
	byUser
	byClient
	tables
)

// entry is a session as it is kept, in 144 bytes and two more pieces of memory: its names and its payload. Both are
// replaced, never changed in place, so that a reader may take them under the lock and read them after. Times are Unix
// microseconds.
//
// The shard's lock guards it; once dead it changes no more. What the indexes look at while they hold a lock of theirs
// (names, hash, next and pos) is written under that lock as well.
type entry struct {
	names names
	next  [tables]*entry // in the same bucket
	hash  [tables]uint32 // of the ID, the user ID and the client ID
	pos   [tables]int32  // place in its group of the index

	payload  payload
	seen     int64
	expires  int64
	due      int64 // where the entry stands in the order by expiry, at or before its expiry; never: it isn't there
	revision uint64
	dead     bool // destroyed or swept; snapshots may still refer to it
}

// expiry returns when the entry expires, in the terms of the order.
func (e *entry) expiry() int64 {
	if e.expires == noTime {
		return never
	}
	return e.expires
}

// look copies from the entry what a record is made of, for fill to go on with.
func (e *entry) look() look {
	return look{e.names, e.payload, e.seen, e.expires, e.revision}
}

type look struct {
	names         names
	payload       payload
	seen, expires int64
	revision      uint64
}

// fill makes the record. It returns the data as it is kept, not a copy of it.
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

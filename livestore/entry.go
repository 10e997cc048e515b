package livestore

import (
	"math"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// never stands for the expiry of what doesn't expire, where expiries are compared.
const never = math.MaxInt64

// noTime is the zero time.Time in the unit of entry.
var noTime = time.Time{}.UnixMicro()

// entry is a record as it is kept: times in Unix microseconds, data as a string, so that nothing can change it in place and
// a reader may copy it outside the lock. The shard's lock guards it; once dead it changes no more.
type entry struct {
	id, clientID, userID string
	addr, userAgent      string
	data                 string

	token, prevToken                 store.TokenHash
	tokenGeneration, loginGeneration uint64

	rotated, created, seen, expires int64
	idle, lifetime                  time.Duration

	writes, revision uint64
	writeID          store.WriteID

	due                int64 // where the entry stands in the order by expiry, at or before its expiry; never: it isn't there
	userPos, clientPos int32 // place in its group of the index, guarded by the index
	dead               bool  // destroyed or swept; snapshots may still refer to it
}

// expiry returns when the entry expires, in the terms of the order.
func (e *entry) expiry() int64 {
	if e.expires == noTime {
		return never
	}
	return e.expires
}

// copyTo fills rec with everything but the data, which it returns for the caller to copy outside the lock.
func (e *entry) copyTo(rec *store.Record) (data string) {
	rec.ID = e.id
	rec.TokenHash, rec.PrevTokenHash = e.token, e.prevToken
	rec.TokenGeneration, rec.LoginGeneration = e.tokenGeneration, e.loginGeneration
	rec.RotatedAt = timeOf(e.rotated)
	rec.ClientID, rec.UserID = e.clientID, e.userID
	rec.Addr, rec.UserAgent = e.addr, e.userAgent
	rec.Created, rec.Seen, rec.Expires = timeOf(e.created), timeOf(e.seen), timeOf(e.expires)
	rec.Idle, rec.Lifetime = e.idle, e.lifetime
	rec.Writes, rec.Revision, rec.WriteID = e.writes, e.revision, e.writeID
	return e.data
}

// copyFrom takes over from rec what no index depends on.
func (e *entry) copyFrom(rec *store.Record, data string) {
	e.data = data
	e.token, e.prevToken = rec.TokenHash, rec.PrevTokenHash
	e.tokenGeneration, e.loginGeneration = rec.TokenGeneration, rec.LoginGeneration
	e.rotated, e.created = rec.RotatedAt.UnixMicro(), rec.Created.UnixMicro()
	keep(&e.addr, rec.Addr)
	keep(&e.userAgent, rec.UserAgent)
	e.idle, e.lifetime = rec.Idle, rec.Lifetime
	e.writes, e.writeID = rec.Writes, rec.WriteID
}

// keep stores a copy of s unless it is there already: a string of the caller's may be a small part of something large.
func keep(to *string, s string) {
	if *to != s {
		*to = strings.Clone(s)
	}
}

func timeOf(micros int64) time.Time {
	if micros == noTime {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func bytesOf(data string) []byte {
	if data == "" {
		return nil
	}
	return []byte(data)
}

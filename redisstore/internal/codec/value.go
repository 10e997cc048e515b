package codec

import (
	"encoding/binary"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// A value is a record without its ID. The head has numbers at fixed offsets, which the scripts read
// and write; times are milliseconds since the zero time.Time.
//
//	 0  format, 1
//	 1  flags
//	 2  revision
//	 8  seen
//	14  expires
//	20  end of the lifetime; 0: unlimited
//	26  score in the index by expiry; 0: not in the index
//	32  score in the index by activity
//	38  score in the index by user; 0: not in the index
//	44  score in the index by client; 0: not in the index. Sessions without a user have a score of their own
//	50  the first 6 bytes of the token hash
//	56  user ID, preceded by its length
//	..  write ID, 16 bytes; the other 26 bytes of the token hash; created, 6 bytes
//	..  optional, according to the flags: previous token hash, 32 bytes; rotated-at, 6 bytes; logged-in, 6 bytes
//	..  varints: idle and lifetime (nanoseconds), writes, token generation, login generation
//	..  client ID, address and user agent, each preceded by its length; a client ID that is a UUID is 16 bytes
//	..  data, to the end
const (
	// Format is the version of the representation.
	Format = 1

	// HeadSize is the size of the head in bytes.
	HeadSize = 56

	atFlags    = 1
	atRevision = 2
	atSeen     = 8
	atExpires  = 14
	atEnd      = 20
	atDue      = 26
	atActive   = 32
	atUser     = 38
	atClient   = 44
	atToken    = 50

	restOfToken = len(store.TokenHash{}) - (HeadSize - atToken) // what of the token hash follows the user ID
)

const (
	hasPrevious  = 1 << iota // a previous token hash
	hasRotated               // rotated-at
	hasLoggedIn              // logged-in
	hasUUID                  // the client ID is a UUID
	hasFragments             // the user agent is abbreviated

	renewalShift = 5 // position of the bits of store.Renewal
)

// usualSize is how many bytes a value takes as a rule, at most. Such a value is made on the stack.
const usualSize = 1 << 10

// Encode returns the record as a value. The fields that the script sets are 0: the revision and the
// scores in the indexes by expiry and activity.
func Encode(rec *store.Record) string {
	var room [usualSize]byte
	return string(encode(room[:0], rec))
}

// encode appends the value to v, which is empty.
func encode(v []byte, rec *store.Record) []byte {
	v = append(v, make([]byte, HeadSize)...)
	v[0] = Format
	v[atFlags] = byte(rec.Renewal) << renewalShift
	putNumber(v[atSeen:], Millis(rec.Seen))
	putNumber(v[atExpires:], Millis(rec.Expires))
	putNumber(v[atEnd:], Millis(rec.LifetimeEnd()))
	putNumber(v[atUser:], Score(rec.UserID))
	if rec.UserID != "" {
		putNumber(v[atClient:], Score(rec.ClientID))
	} else {
		putNumber(v[atClient:], GuestScore(rec.ClientID))
	}
	rest := rec.TokenHash[copy(v[atToken:], rec.TokenHash[:]):]
	v = AppendText(v, rec.UserID)
	v = append(v, rec.WriteID[:]...)
	v = append(v, rest...)
	v = appendNumber(v, Millis(rec.Created))
	if !rec.PrevTokenHash.IsZero() {
		v[atFlags] |= hasPrevious
		v = append(v, rec.PrevTokenHash[:]...)
	}
	if !rec.RotatedAt.IsZero() {
		v[atFlags] |= hasRotated
		v = appendNumber(v, Millis(rec.RotatedAt))
	}
	if !rec.LoggedIn.IsZero() {
		v[atFlags] |= hasLoggedIn
		v = appendNumber(v, Millis(rec.LoggedIn))
	}
	v = binary.AppendVarint(v, int64(rec.Idle))
	v = binary.AppendVarint(v, int64(rec.Lifetime))
	v = binary.AppendUvarint(v, rec.Writes)
	v = binary.AppendUvarint(v, rec.TokenGeneration)
	v = binary.AppendUvarint(v, rec.LoginGeneration)
	if raw, ok := uuidtext.Parse(rec.ClientID); ok {
		v[atFlags] |= hasUUID
		v = append(v, raw[:]...)
	} else {
		v = AppendText(v, rec.ClientID)
	}
	v = AppendText(v, rec.Addr)
	if short, ok := abbreviate(rec.UserAgent); ok {
		v[atFlags] |= hasFragments
		v = AppendText(v, short)
	} else {
		v = AppendText(v, rec.UserAgent)
	}
	return append(v, rec.Data...)
}

// New is the value of a session that is created, and its positions in the indexes; 0: not in the
// index.
type New struct {
	Value                         string
	Active, Expires, User, Client uint64
}

// EncodeNew returns the record as the value of a new session, with its first revision.
func EncodeNew(rec *store.Record) New {
	var room [usualSize]byte
	v := encode(room[:0], rec)
	n := New{
		Active: Millis(rec.Seen), Expires: Millis(rec.Expires), User: number(v[atUser:]), Client: number(v[atClient:]),
	}
	putNumber(v[atRevision:], 1)
	putNumber(v[atDue:], n.Expires)
	putNumber(v[atActive:], n.Active)
	n.Value = string(v)
	return n
}

// Beginning returns where a value has the fields from created to logged-in, which are at the same
// place in the value before if the user and the flags are the same.
func Beginning(value string) (from, to int) {
	length, size := binary.Uvarint([]byte(value[HeadSize:min(len(value), HeadSize+binary.MaxVarintLen64)]))
	from = HeadSize + size + int(length) + len(store.WriteID{}) + restOfToken //nolint:gosec // Encode has written it
	to = from + NumberSize
	if value[atFlags]&hasPrevious != 0 {
		to += len(store.TokenHash{})
	}
	if value[atFlags]&hasRotated != 0 {
		to += NumberSize
	}
	if value[atFlags]&hasLoggedIn != 0 {
		to += NumberSize
	}
	return from, to
}

// AppendText appends the length of s and s.
func AppendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// A value is a record as it is stored, without its ID. The head has fields at fixed places, in numbers of 6 bytes, big-endian, because scripts work
// with them and have no integers larger than 53 bits. Times are milliseconds since the zero time.Time, so that 0 is that.
//
//	 0  format, 1
//	 1  flags
//	 2  revision
//	 8  seen
//	14  expires
//	20  end of the lifetime; 0: there is none
//	26  due: place in the index by expiry, 0: it isn't there
//	32  place in the index by activity
//	38  place in the index by user, likewise
//	44  place in the index by client, likewise; a session that nobody is logged in with has another
//	50  the first 6 bytes of the token hash
//	56  user ID, with its length before it
//	..  write ID, 16 bytes; the other 26 bytes of the token hash; created, 6 bytes
//	..  previous token hash, 32 bytes; rotated-at, logged-in, 6 bytes each; whichever there are
//	..  varints: idle and lifetime (nanoseconds), writes, token generation, login generation
//	..  client ID, address and user agent, each with its length before it; a client ID that is a UUID is 16 bytes
//	..  data, to the end
const (
	valueFormat = 1

	atFlags    = 1
	atRevision = 2
	atSeen     = 8
	atExpires  = 14
	atEnd      = 20
	atUser     = 38
	atClient   = 44
	atToken    = 50
	headSize   = 56

	maxNumber = 1<<48 - 1
)

const (
	hasPrevious  = 1 << iota // a previous token hash
	hasRotated               // rotated-at
	hasLoggedIn              // logged-in
	hasUUID                  // the client ID is a UUID
	hasFragments             // the user agent is abbreviated

	renewal = 5 // where the bits of store.Renewal begin
)

// epoch is the zero time.Time, before the Unix epoch, in milliseconds.
const epoch = 62135596800000

// millisOf returns a time as it is stored. Years up to 8900 have one of their own.
func millisOf(t time.Time) uint64 {
	return uint64(min(max(t.UnixMilli()+epoch, 0), maxNumber)) //nolint:gosec // in range
}

func timeOf(millis uint64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(millis) - epoch).UTC() //nolint:gosec // in range
}

func sixBytes(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
}

func putSix(b []byte, n uint64) {
	binary.BigEndian.PutUint16(b, uint16(n>>32)) //nolint:gosec // the upper bits
	binary.BigEndian.PutUint32(b[2:], uint32(n)) //nolint:gosec // the lower bits
}

func appendSix(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, uint16(n>>32)), uint32(n)) //nolint:gosec // all of the bits
}

// makeValue encodes the record. What the script finds out is 0: the revision, and the places in the indexes by expiry and activity.
func makeValue(rec *store.Record) []byte {
	v := make([]byte, headSize, headSize+256+len(rec.ClientID)+len(rec.UserID)+len(rec.Addr)+len(rec.UserAgent)+len(rec.Data))
	v[0] = valueFormat
	v[atFlags] = byte(rec.Renewal) << renewal
	putSix(v[atSeen:], millisOf(rec.Seen))
	putSix(v[atExpires:], millisOf(rec.Expires))
	if rec.Lifetime > 0 {
		putSix(v[atEnd:], millisOf(rec.Created.Add(rec.Lifetime)))
	}
	putSix(v[atUser:], placeOf(rec.UserID))
	if rec.UserID != "" {
		putSix(v[atClient:], placeOf(rec.ClientID))
	} else {
		putSix(v[atClient:], guestPlaceOf(rec.ClientID))
	}
	rest := rec.TokenHash[copy(v[atToken:], rec.TokenHash[:]):]
	v = appendText(v, rec.UserID)
	v = append(v, rec.WriteID[:]...)
	v = append(v, rest...)
	v = appendSix(v, millisOf(rec.Created))
	if !rec.PrevTokenHash.IsZero() {
		v[atFlags] |= hasPrevious
		v = append(v, rec.PrevTokenHash[:]...)
	}
	if !rec.RotatedAt.IsZero() {
		v[atFlags] |= hasRotated
		v = appendSix(v, millisOf(rec.RotatedAt))
	}
	if !rec.LoggedIn.IsZero() {
		v[atFlags] |= hasLoggedIn
		v = appendSix(v, millisOf(rec.LoggedIn))
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
		v = appendText(v, rec.ClientID)
	}
	v = appendText(v, rec.Addr)
	if short, ok := abbreviate(rec.UserAgent); ok {
		v[atFlags] |= hasFragments
		v = appendText(v, short)
	} else {
		v = appendText(v, rec.UserAgent)
	}
	return append(v, rec.Data...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errValue = errors.New("not a session")

// recordOf decodes a value. The record's data is memory of its own.
func recordOf(id, value string) (store.Record, error) {
	rec := store.Record{ID: id}
	v, err := open(value)
	if err != nil {
		return rec, err
	}
	flags := value[atFlags]
	rec.Renewal = store.Renewal(flags >> renewal)
	rec.Revision = v.number(atRevision)
	rec.Seen, rec.Expires = timeOf(v.number(atSeen)), timeOf(v.number(atExpires))
	rec.UserID = v.text()
	copy(rec.WriteID[:], v.bytes(len(rec.WriteID)))
	rest := rec.TokenHash[copy(rec.TokenHash[:], v.head[atToken:]):]
	copy(rest, v.bytes(len(rest)))
	rec.Created = timeOf(v.six())
	if flags&hasPrevious != 0 {
		copy(rec.PrevTokenHash[:], v.bytes(len(rec.PrevTokenHash)))
	}
	if flags&hasRotated != 0 {
		rec.RotatedAt = timeOf(v.six())
	}
	if flags&hasLoggedIn != 0 {
		rec.LoggedIn = timeOf(v.six())
	}
	rec.Idle, rec.Lifetime = time.Duration(v.varint()), time.Duration(v.varint())
	rec.Writes, rec.TokenGeneration, rec.LoginGeneration = v.uvarint(), v.uvarint(), v.uvarint()
	if flags&hasUUID == 0 {
		rec.ClientID = v.text()
	} else if raw := v.bytes(uuidtext.Size); len(raw) == uuidtext.Size {
		rec.ClientID = uuidtext.Format([uuidtext.Size]byte([]byte(raw)))
	}
	rec.Addr = v.text()
	if rec.UserAgent = v.text(); flags&hasFragments != 0 {
		rec.UserAgent = expand(rec.UserAgent)
	}
	if v.failed {
		return rec, errValue
	}
	rec.Data = []byte(v.rest)
	return rec, nil
}

// reader reads the fields after the head one after the other. Once there is too little left, it has failed and returns zeros.
type reader struct {
	head, rest string
	failed     bool
}

// open returns a reader of a value, or of its beginning.
func open(value string) (reader, error) {
	if len(value) < headSize {
		return reader{}, errValue
	}
	if value[0] != valueFormat {
		return reader{}, fmt.Errorf("%w of a format that this version knows: %d", errValue, value[0])
	}
	return reader{head: value[:headSize], rest: value[headSize:]}, nil
}

// number returns the field of the head that begins there.
func (r *reader) number(at int) uint64 { return sixBytes([]byte(r.head[at : at+6])) }

func (r *reader) bytes(n int) string {
	if n < 0 || n > len(r.rest) {
		r.failed, r.rest = true, ""
		return ""
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) six() uint64 {
	if b := r.bytes(6); b != "" {
		return sixBytes([]byte(b))
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		r.failed, r.rest = true, ""
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1) //nolint:gosec // as package binary has it
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, ""
		return ""
	}
	return r.bytes(int(n)) //nolint:gosec // no more than there is
}

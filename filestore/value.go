package filestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// value is a record as it is stored, without its ID. The first fields have fixed places, because they are read without the
// rest or are only known once the record is being committed. Numbers are little-endian; times are Unix microseconds.
//
//	 0  format, 1
//	 1  flags
//	 2  revision
//	10  seen
//	18  expires
//	26  created
//	34  write ID, 16 bytes
//	50  token hash, 32 bytes
//	82  previous token hash, 32 bytes, if there is one
//	..  varints: idle, lifetime (nanoseconds), writes, token generation, login generation, and rotated-at and logged-in if there are
//	..  client ID, user ID, address and user agent, each with its length before it; a client ID that is a UUID is 16 bytes
//	..  data, to the end
type value []byte

const (
	valueFormat = 1

	atFlags    = 1
	atRevision = 2
	atSeen     = 10
	atExpires  = 18
	atCreated  = 26
	atWriteID  = 34
	atToken    = 50
	atVariable = 82
)

const (
	hasPrevious = 1 << iota // a previous token hash
	hasRotated              // rotated-at
	hasUUID                 // the client ID is a UUID
	hasLoggedIn             // logged-in

	renewal = 4 // where the bits of store.Renewal begin
)

// never stands for the expiry of what doesn't expire, where expiries are compared.
const never = math.MaxInt64

// noTime is the zero time.Time in microseconds.
var noTime = time.Time{}.UnixMicro()

func timeOf(micros int64) time.Time {
	if micros == noTime {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// makeValue encodes the record. Its revision is 0: the committer sets it.
func makeValue(rec *store.Record) value {
	size := atVariable + len(store.TokenHash{}) + 11*binary.MaxVarintLen64 +
		len(rec.ClientID) + len(rec.UserID) + len(rec.Addr) + len(rec.UserAgent) + len(rec.Data)
	v := make(value, atVariable, size)
	v[0] = valueFormat
	v[atFlags] = byte(rec.Renewal) << renewal
	v.setSeen(rec.Seen.UnixMicro())
	v.setExpires(rec.Expires.UnixMicro())
	v.put(atCreated, rec.Created.UnixMicro())
	copy(v[atWriteID:], rec.WriteID[:])
	copy(v[atToken:], rec.TokenHash[:])
	if !rec.PrevTokenHash.IsZero() {
		v[atFlags] |= hasPrevious
		v = append(v, rec.PrevTokenHash[:]...)
	}
	v = binary.AppendVarint(v, int64(rec.Idle))
	v = binary.AppendVarint(v, int64(rec.Lifetime))
	v = binary.AppendUvarint(v, rec.Writes)
	v = binary.AppendUvarint(v, rec.TokenGeneration)
	v = binary.AppendUvarint(v, rec.LoginGeneration)
	if !rec.RotatedAt.IsZero() {
		v[atFlags] |= hasRotated
		v = binary.AppendVarint(v, rec.RotatedAt.UnixMicro())
	}
	if !rec.LoggedIn.IsZero() {
		v[atFlags] |= hasLoggedIn
		v = binary.AppendVarint(v, rec.LoggedIn.UnixMicro())
	}
	if raw, ok := uuidtext.Parse(rec.ClientID); ok {
		v[atFlags] |= hasUUID
		v = append(v, raw[:]...)
	} else {
		v = appendText(v, rec.ClientID)
	}
	v = appendText(v, rec.UserID)
	v = appendText(v, rec.Addr)
	v = appendText(v, rec.UserAgent)
	return append(v, rec.Data...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (v value) revision() uint64 { return binary.LittleEndian.Uint64(v[atRevision:]) }
func (v value) seen() int64      { return v.time(atSeen) }
func (v value) created() int64   { return v.time(atCreated) }
func (v value) time(at int) int64 {
	return int64(binary.LittleEndian.Uint64(v[at:])) //nolint:gosec // the bits, whatever they mean
}

// expiry returns when the session expires, in terms that can be compared.
func (v value) expiry() int64 {
	if t := v.time(atExpires); t != noTime {
		return t
	}
	return never
}

func (v value) put(at int, n int64) {
	binary.LittleEndian.PutUint64(v[at:], uint64(n)) //nolint:gosec // the bits, whatever they mean
}
func (v value) setRevision(n uint64) { binary.LittleEndian.PutUint64(v[atRevision:], n) }
func (v value) setSeen(t int64)      { v.put(atSeen, t) }
func (v value) setExpires(t int64)   { v.put(atExpires, t) }

var errValue = errors.New("not a record")

// record decodes the value. Nothing in the record refers to the value's memory.
func (v value) record(id string) (store.Record, error) {
	rec := store.Record{ID: id}
	r, err := v.variable()
	if err != nil {
		return rec, err
	}
	rec.Renewal = store.Renewal(v[atFlags] >> renewal)
	rec.Revision = v.revision()
	rec.Seen, rec.Expires, rec.Created = timeOf(v.seen()), timeOf(v.time(atExpires)), timeOf(v.created())
	copy(rec.WriteID[:], v[atWriteID:])
	copy(rec.TokenHash[:], v[atToken:])
	if v[atFlags]&hasPrevious != 0 {
		copy(rec.PrevTokenHash[:], r.bytes(len(rec.PrevTokenHash)))
	}
	rec.Idle, rec.Lifetime = time.Duration(r.varint()), time.Duration(r.varint())
	rec.Writes, rec.TokenGeneration, rec.LoginGeneration = r.uvarint(), r.uvarint(), r.uvarint()
	if v[atFlags]&hasRotated != 0 {
		rec.RotatedAt = timeOf(r.varint())
	}
	if v[atFlags]&hasLoggedIn != 0 {
		rec.LoggedIn = timeOf(r.varint())
	}
	rec.ClientID = r.client(v[atFlags])
	// One string for the three of them: a sixth of the time that this takes went into making three.
	user, addr, agent := r.text(), r.text(), r.text()
	if r.failed {
		return rec, errValue
	}
	names := string(user) + string(addr) + string(agent)
	rec.UserID, names = names[:len(user)], names[len(user):]
	rec.Addr, rec.UserAgent = names[:len(addr)], names[len(addr):]
	rec.Data = append([]byte{}, r.rest...)
	return rec, nil
}

// owner returns the user ID, and the client ID as it is stored: two client IDs are the same if that is. Of what isn't a record it
// returns nothing.
func (v value) owner() (user, client []byte) {
	r, err := v.variable()
	if err != nil {
		return nil, nil
	}
	return r.owner(v[atFlags])
}

// keepSeen moves seen, unless it is there already, as store.KeepSeen does.
func (v value) keepSeen(seen int64) error {
	if seen <= v.seen() {
		return nil
	}
	r, err := v.variable()
	if err != nil {
		return err
	}
	if v[atFlags]&hasPrevious != 0 {
		r.bytes(len(store.TokenHash{}))
	}
	r.varint() // idle
	next := store.Record{
		Seen: timeOf(v.seen()), Expires: timeOf(v.time(atExpires)), Created: timeOf(v.created()),
		Lifetime: time.Duration(r.varint()),
	}
	if r.failed {
		return errValue
	}
	store.KeepSeen(&store.Record{Seen: timeOf(seen)}, &next)
	v.setSeen(next.Seen.UnixMicro())
	v.setExpires(next.Expires.UnixMicro())
	return nil
}

// variable returns a reader at the first field that hasn't a fixed place.
func (v value) variable() (reader, error) {
	if len(v) < atVariable {
		return reader{}, errValue
	}
	if v[0] != valueFormat {
		return reader{}, fmt.Errorf("%w of a format this version knows: %d", errValue, v[0])
	}
	return reader{rest: v[atVariable:]}, nil
}

// reader reads fields one after the other. Once there is too little left, it has failed and returns zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.advance(size)
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	r.advance(size)
	return n
}

// advance goes past a varint; a size that isn't positive says that there is none, and then it was read as 0.
func (r *reader) advance(size int) {
	if size <= 0 {
		r.failed, r.rest = true, nil
		return
	}
	r.rest = r.rest[size:]
}

func (r *reader) text() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	return r.bytes(int(n)) //nolint:gosec // no more than there is
}

func (r *reader) client(flags byte) string {
	if flags&hasUUID == 0 {
		return string(r.text())
	}
	if raw := r.bytes(16); raw != nil {
		return uuidtext.Format([uuidtext.Size]byte(raw))
	}
	return ""
}

// owner reads up to the user ID, and returns what value.owner does.
func (r *reader) owner(flags byte) (user, client []byte) {
	r.skipTo(flags)
	if flags&hasUUID != 0 {
		client = r.bytes(16)
	} else {
		client = r.text()
	}
	return r.text(), client
}

// skipTo goes to the client ID.
func (r *reader) skipTo(flags byte) {
	if flags&hasPrevious != 0 {
		r.bytes(len(store.TokenHash{}))
	}
	r.varint()
	r.varint()
	r.uvarint()
	r.uvarint()
	r.uvarint()
	if flags&hasRotated != 0 {
		r.varint()
	}
	if flags&hasLoggedIn != 0 {
		r.varint()
	}
}

// uuidClient reports whether the client ID is kept as the bytes of a UUID.
func (v value) uuidClient() bool { return v[atFlags]&hasUUID != 0 }

// sameOwner reports whether the records have the same user, and the same client.
func (v value) sameOwner(other value) (user, client bool) {
	vUser, vClient := v.owner()
	oUser, oClient := other.owner()
	return string(vUser) == string(oUser), string(vClient) == string(oClient) && v.uuidClient() == other.uuidClient()
}

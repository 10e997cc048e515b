package filestore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
	"github.com/sessionbridge/sessionbridge/store"
)

// value is an encoded record, without its ID. The first fields have fixed offsets, because they are
// read without the others, or are known only when the record is committed. Numbers are
// little-endian; times are Unix microseconds.
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
//	..  varints: idle and lifetime in nanoseconds, writes, token generation, login generation;
//	    rotated-at and logged-in, if there are
//	..  client ID, user ID, address and user agent, each after its length; a client ID that is a
//	    UUID takes 16 bytes, without a length
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

	renewal = 4 // the first bit of store.Renewal
)

// never is the expiry of a session that doesn't expire, for comparisons.
const never = math.MaxInt64

// noTime is the zero time.Time in microseconds.
var noTime = time.Time{}.UnixMicro()

func timeOf(micros int64) time.Time {
	if micros == noTime {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// makeValue encodes the record. Its revision is 0 until the committer sets it.
func makeValue(rec *store.Record) value {
	size := atVariable + len(store.TokenHash{}) + 11*binary.MaxVarintLen64 +
		len(rec.ClientID) + len(rec.UserID) + len(rec.Addr) + len(rec.UserAgent) + len(rec.Data)
	v := make(value, atVariable, size)
	v[0], v[atFlags] = valueFormat, byte(rec.Renewal)<<renewal
	v.setTime(atSeen, rec.Seen.UnixMicro())
	v.setTime(atExpires, rec.Expires.UnixMicro())
	v.setTime(atCreated, rec.Created.UnixMicro())
	copy(v[atWriteID:], rec.WriteID[:])
	copy(v[atToken:], rec.TokenHash[:])
	if !rec.PrevTokenHash.IsZero() {
		v[atFlags] |= hasPrevious
		v = append(v, rec.PrevTokenHash[:]...)
	}
	v = binary.AppendVarint(binary.AppendVarint(v, int64(rec.Idle)), int64(rec.Lifetime))
	for _, n := range [...]uint64{rec.Writes, rec.TokenGeneration, rec.LoginGeneration} {
		v = binary.AppendUvarint(v, n)
	}
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
	for _, text := range [...]string{rec.UserID, rec.Addr, rec.UserAgent} {
		v = appendText(v, text)
	}
	return append(v, rec.Data...)
}

// appendText appends bytes after their length.
func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (v value) revision() uint64 { return binary.LittleEndian.Uint64(v[atRevision:]) }
func (v value) seen() int64      { return v.time(atSeen) }
func (v value) created() int64   { return v.time(atCreated) }
func (v value) time(at int) int64 {
	return int64(binary.LittleEndian.Uint64(v[at:])) //nolint:gosec // a conversion of bits
}

// expiry returns when the session expires, never if it doesn't.
func (v value) expiry() int64 {
	if t := v.time(atExpires); t != noTime {
		return t
	}
	return never
}

func (v value) setTime(at int, t int64) {
	binary.LittleEndian.PutUint64(v[at:], uint64(t)) //nolint:gosec // a conversion of bits
}
func (v value) setRevision(n uint64) { binary.LittleEndian.PutUint64(v[atRevision:], n) }

// uuidClient reports whether the client ID is stored as the bytes of a UUID.
func (v value) uuidClient() bool { return v[atFlags]&hasUUID != 0 }

var errValue = errors.New("invalid record")

// fields are the fields without fixed offsets, in their order.
type fields struct {
	previous                        []byte
	idle, lifetime                  int64
	writes, tokens, logins          uint64
	rotatedAt, loggedIn             int64
	client, user, addr, agent, data []byte
}

// fields decodes the fields without fixed offsets. It fails if the value is invalid.
func (v value) fields() (f fields, err error) {
	if len(v) < atVariable {
		return f, errValue
	}
	if v[0] != valueFormat {
		return f, fmt.Errorf("%w: unknown format %d", errValue, v[0])
	}
	r, flags := reader{rest: v[atVariable:]}, v[atFlags]
	if flags&hasPrevious != 0 {
		f.previous = r.bytes(len(store.TokenHash{}))
	}
	f.idle, f.lifetime = r.varint(), r.varint()
	f.writes, f.tokens, f.logins = r.uvarint(), r.uvarint(), r.uvarint()
	f.rotatedAt, f.loggedIn = noTime, noTime
	if flags&hasRotated != 0 {
		f.rotatedAt = r.varint()
	}
	if flags&hasLoggedIn != 0 {
		f.loggedIn = r.varint()
	}
	if flags&hasUUID != 0 {
		f.client = r.bytes(uuidtext.Size)
	} else {
		f.client = r.text()
	}
	f.user, f.addr, f.agent = r.text(), r.text(), r.text()
	if f.data = r.rest; r.failed {
		return f, errValue
	}
	return f, nil
}

// record decodes the value, into memory of its own.
func (v value) record(id string) (store.Record, error) {
	rec := store.Record{ID: id}
	f, err := v.fields()
	if err != nil {
		return rec, err
	}
	rec.Renewal = store.Renewal(v[atFlags] >> renewal)
	rec.Revision = v.revision()
	rec.Seen, rec.Expires, rec.Created = timeOf(v.seen()), timeOf(v.time(atExpires)), timeOf(v.created())
	copy(rec.WriteID[:], v[atWriteID:])
	copy(rec.TokenHash[:], v[atToken:])
	copy(rec.PrevTokenHash[:], f.previous)
	rec.Idle, rec.Lifetime = time.Duration(f.idle), time.Duration(f.lifetime)
	rec.Writes, rec.TokenGeneration, rec.LoginGeneration = f.writes, f.tokens, f.logins
	rec.RotatedAt, rec.LoggedIn = timeOf(f.rotatedAt), timeOf(f.loggedIn)
	if v.uuidClient() {
		rec.ClientID = uuidtext.Format([uuidtext.Size]byte(f.client))
	} else {
		rec.ClientID = string(f.client)
	}
	// One string for all three: an allocation for each took a sixth of the time of this function.
	names := string(f.user) + string(f.addr) + string(f.agent)
	rec.UserID, names = names[:len(f.user)], names[len(f.user):]
	rec.Addr, rec.UserAgent = names[:len(f.addr)], names[len(f.addr):]
	rec.Data = append([]byte{}, f.data...)
	return rec, nil
}

// valid reports whether record can decode the value.
func (v value) valid() bool {
	_, err := v.fields()
	return err == nil
}

// owner returns the user ID, and the client ID as it is stored: it is equal for equal client IDs.
// If the value is invalid both are nil.
func (v value) owner() (user, client []byte) {
	f, err := v.fields()
	if err != nil {
		return nil, nil
	}
	return f.user, f.client
}

// sameOwner reports whether both records have the same user and the same client.
func (v value) sameOwner(other value) bool {
	user, client := v.owner()
	otherUser, otherClient := other.owner()
	return bytes.Equal(user, otherUser) && bytes.Equal(client, otherClient) && v.uuidClient() == other.uuidClient()
}

// began returns Record.Began in microseconds.
func (v value) began() (int64, error) {
	f, err := v.fields()
	return max(v.created(), f.loggedIn), err
}

// keepSeen sets seen and the expiry as store.KeepSeen does, unless seen is later already.
func (v value) keepSeen(seen int64) error {
	if seen <= v.seen() {
		return nil
	}
	f, err := v.fields()
	if err != nil {
		return err
	}
	next := store.Record{
		Seen: timeOf(v.seen()), Expires: timeOf(v.time(atExpires)), Created: timeOf(v.created()),
		LoggedIn: timeOf(f.loggedIn), Lifetime: time.Duration(f.lifetime),
	}
	store.KeepSeen(&store.Record{Seen: timeOf(seen)}, &next)
	v.setTime(atSeen, next.Seen.UnixMicro())
	v.setTime(atExpires, next.Expires.UnixMicro())
	return nil
}

// reader reads one field after the other. After the end it has failed, and returns zeros.
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

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.skip(size)
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	r.skip(size)
	return n
}

// skip skips a varint of that size; a size that isn't positive means that it is invalid.
func (r *reader) skip(size int) { r.bytes(cmp.Or(size, -1)) }

// text reads bytes after their length.
func (r *reader) text() []byte {
	return r.bytes(int(min(r.uvarint(), math.MaxInt32))) //nolint:gosec // in range
}

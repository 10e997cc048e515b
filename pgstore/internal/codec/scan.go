package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// columns are those of a record, as PostgreSQL has them.
type columns struct {
	id, clientID, userID string

	revision, writes, tokenGeneration, loginGeneration          int64
	renewal                                                     int16
	rotatedAt, loggedIn, created, seen, expires, idle, lifetime int64 // microseconds
	writeID, tokenHash, prevTokenHash, addr, userAgent, data    []byte
}

// ErrRow is the error for a row that this package didn't store.
var ErrRow = errors.New("not a session's row")

// maxMicros is the longest duration in microseconds.
const maxMicros = int64(math.MaxInt64 / time.Microsecond)

// check returns an error if a column has a value that a record can't have.
func (c *columns) check() error {
	size := len(store.TokenHash{})
	switch {
	case c.id == "" && c.revision == 0: // the last row of a sweep has no session
		return nil
	case len(c.writeID) != len(store.WriteID{}), len(c.tokenHash) != size, len(c.prevTokenHash) != size:
		return fmt.Errorf("%w: write_id, token_hash or prev_token_hash has another size", ErrRow)
	case c.renewal < 0 || c.renewal > math.MaxUint8:
		return fmt.Errorf("%w: renewal is out of range: %d", ErrRow, c.renewal)
	case min(c.idle, c.lifetime) < -maxMicros || max(c.idle, c.lifetime) > maxMicros:
		return fmt.Errorf("%w: idle or lifetime is out of range: %d, %d", ErrRow, c.idle, c.lifetime)
	}
	return nil
}

// record returns the record, which owns the row's data.
func (c *columns) record() (rec store.Record, err error) {
	if err := c.check(); err != nil {
		return rec, err
	}
	rec.ID, rec.ClientID, rec.UserID = c.id, c.clientID, c.userID
	rec.Revision, rec.Writes = uint64(c.revision), uint64(c.writes) //nolint:gosec // not negative
	copy(rec.WriteID[:], c.writeID)
	copy(rec.TokenHash[:], c.tokenHash)
	copy(rec.PrevTokenHash[:], c.prevTokenHash)
	rec.TokenGeneration = uint64(c.tokenGeneration) //nolint:gosec // not negative
	rec.LoginGeneration = uint64(c.loginGeneration) //nolint:gosec // not negative
	rec.Renewal = store.Renewal(c.renewal)          //nolint:gosec // a small number
	rec.RotatedAt, rec.LoggedIn, rec.Created = at(c.rotatedAt), at(c.loggedIn), at(c.created)
	rec.Seen, rec.Expires = at(c.seen), at(c.expires)
	rec.Addr, rec.UserAgent = string(c.addr), string(c.userAgent)
	rec.Idle, rec.Lifetime = time.Duration(c.idle)*time.Microsecond, time.Duration(c.lifetime)*time.Microsecond
	rec.Data = c.data
	return rec, nil
}

// Decode reads a record from the columns of a row in PostgreSQL's binary format, after the values for
// before: pointers to int64 and string. It takes a small part of the time of Scan. The row may be used
// again then.
func Decode(values [][]byte, before ...any) (rec store.Record, err error) {
	r := reader{values: values}
	for _, dst := range before {
		switch dst := dst.(type) {
		case *int64:
			*dst = r.int64()
		case *string:
			*dst = r.string()
		}
	}
	c := r.columns()
	if r.err == nil && r.next != len(values) {
		r.err = fmt.Errorf("%w: it has %d columns; %d are expected", ErrRow, len(values), r.next)
	}
	if r.err != nil {
		return store.Record{}, r.err
	}
	c.data = bytes.Clone(c.data)
	return c.record()
}

// reader reads the values of a row, one after the other, until one fails.
type reader struct {
	values [][]byte
	err    error
	next   int
}

// take returns the next value, of so many bytes, -1 for any number, which the row still owns.
func (r *reader) take(size int) []byte {
	at := r.next
	r.next++
	switch {
	case r.err != nil:
		return nil
	case at >= len(r.values):
		r.err = fmt.Errorf("%w: it has only %d columns", ErrRow, len(r.values))
		return nil
	case size >= 0 && len(r.values[at]) != size:
		r.err = fmt.Errorf("%w: column %d has %d bytes; %d are expected", ErrRow, at+1, len(r.values[at]), size)
		return nil
	}
	return r.values[at]
}

func (r *reader) string() string { return string(r.take(-1)) }

func (r *reader) bytes() []byte { return r.take(-1) }

func (r *reader) int64() int64 {
	if value := r.take(8); value != nil {
		return int64(binary.BigEndian.Uint64(value)) //nolint:gosec // it is one
	}
	return 0
}

func (r *reader) int16() int16 {
	if value := r.take(2); value != nil {
		return int16(binary.BigEndian.Uint16(value)) //nolint:gosec // it is one
	}
	return 0
}

// columns reads those of a record, in the order of Columns. The row of the result still owns them.
func (r *reader) columns() (c columns) {
	c.id = r.string()
	c.revision, c.writes = r.int64(), r.int64()
	c.writeID, c.tokenHash, c.prevTokenHash = r.bytes(), r.bytes(), r.bytes()
	c.tokenGeneration, c.loginGeneration = r.int64(), r.int64()
	c.renewal = r.int16()
	c.rotatedAt, c.loggedIn = r.int64(), r.int64()
	c.clientID, c.userID = r.string(), r.string()
	c.addr, c.userAgent = r.bytes(), r.bytes()
	c.created, c.seen, c.expires = r.int64(), r.int64(), r.int64()
	c.idle, c.lifetime = r.int64(), r.int64()
	c.data = r.bytes()
	return c
}

// Row is a row of a result, in any format.
type Row interface{ Scan(dst ...any) error }

// Scan is Decode of a row in any format.
func Scan(from Row, before ...any) (store.Record, error) {
	var c columns
	err := from.Scan(append(before, &c.id, &c.revision, &c.writes, &c.writeID, &c.tokenHash, &c.prevTokenHash,
		&c.tokenGeneration, &c.loginGeneration, &c.renewal, &c.rotatedAt, &c.loggedIn, &c.clientID, &c.userID,
		&c.addr, &c.userAgent, &c.created, &c.seen, &c.expires, &c.idle, &c.lifetime, &c.data)...)
	if err != nil {
		return store.Record{}, err
	}
	return c.record()
}

// at returns the time so many microseconds after 1970, the zero time for 0.
func at(micros int64) time.Time {
	if micros == 0 || micros == Micros(time.Time{}) {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

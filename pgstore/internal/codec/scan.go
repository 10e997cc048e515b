package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

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
	rec = r.record()
	if r.err == nil && r.next != len(values) {
		r.err = fmt.Errorf("a row has %d columns; %d are expected", len(values), r.next)
	}
	return rec, r.err
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
		r.err = fmt.Errorf("a row has only %d columns", len(r.values))
		return nil
	case size >= 0 && len(r.values[at]) != size:
		r.err = fmt.Errorf("column %d has %d bytes; %d are expected", at+1, len(r.values[at]), size)
		return nil
	}
	return r.values[at]
}

func (r *reader) string() string { return string(r.take(-1)) }

func (r *reader) uint64() uint64 {
	if value := r.take(8); value != nil {
		return binary.BigEndian.Uint64(value)
	}
	return 0
}

func (r *reader) int64() int64 { return int64(r.uint64()) } //nolint:gosec // it is one

func (r *reader) int16() int16 {
	if value := r.take(2); value != nil {
		return int16(binary.BigEndian.Uint16(value)) //nolint:gosec // it is one
	}
	return 0
}

func (r *reader) time() time.Time { return at(r.int64()) }

func (r *reader) duration() time.Duration { return time.Duration(r.int64()) * time.Microsecond }

// record reads the columns of a record, in the order of Columns.
func (r *reader) record() (rec store.Record) {
	rec.ID = r.string()
	rec.Revision, rec.Writes = r.uint64(), r.uint64()
	copy(rec.WriteID[:], r.take(-1))
	copy(rec.TokenHash[:], r.take(-1))
	copy(rec.PrevTokenHash[:], r.take(-1))
	rec.TokenGeneration, rec.LoginGeneration = r.uint64(), r.uint64()
	rec.Renewal = store.Renewal(r.int16()) //nolint:gosec // a small number
	rec.RotatedAt, rec.LoggedIn = r.time(), r.time()
	rec.ClientID, rec.UserID = r.string(), r.string()
	rec.Addr, rec.UserAgent = r.string(), r.string()
	rec.Created, rec.Seen, rec.Expires = r.time(), r.time(), r.time()
	rec.Idle, rec.Lifetime = r.duration(), r.duration()
	rec.Data = bytes.Clone(r.take(-1))
	return rec
}

// Row is a row of a result, in any format.
type Row interface{ Scan(dst ...any) error }

// Scan is Decode of a row in any format.
func Scan(row Row, before ...any) (rec store.Record, err error) {
	var revision, writes, tokenGeneration, loginGeneration int64
	var rotatedAt, loggedIn, created, seen, expires, idle, lifetime int64
	var renewal int16
	var writeID, tokenHash, prevTokenHash, addr, userAgent []byte
	err = row.Scan(append(before, &rec.ID, &revision, &writes, &writeID, &tokenHash, &prevTokenHash,
		&tokenGeneration, &loginGeneration, &renewal, &rotatedAt, &loggedIn, &rec.ClientID, &rec.UserID,
		&addr, &userAgent, &created, &seen, &expires, &idle, &lifetime, &rec.Data)...)
	if err != nil {
		return store.Record{}, err
	}
	rec.Revision, rec.Writes = uint64(revision), uint64(writes) //nolint:gosec // not negative
	copy(rec.WriteID[:], writeID)
	copy(rec.TokenHash[:], tokenHash)
	copy(rec.PrevTokenHash[:], prevTokenHash)
	rec.TokenGeneration = uint64(tokenGeneration) //nolint:gosec // not negative
	rec.LoginGeneration = uint64(loginGeneration) //nolint:gosec // not negative
	rec.Renewal = store.Renewal(renewal)          //nolint:gosec // a small number
	rec.RotatedAt, rec.LoggedIn, rec.Created = at(rotatedAt), at(loggedIn), at(created)
	rec.Seen, rec.Expires = at(seen), at(expires)
	rec.Addr, rec.UserAgent = string(addr), string(userAgent)
	rec.Idle, rec.Lifetime = time.Duration(idle)*time.Microsecond, time.Duration(lifetime)*time.Microsecond
	return rec, nil
}

// at returns the time so many microseconds after 1970, the zero time for 0.
func at(micros int64) time.Time {
	if micros == 0 || micros == Micros(time.Time{}) {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

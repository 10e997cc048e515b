// Package codec turns records into the columns of the table of sessions, and back.
package codec

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/store"
)

// fields are the columns that make up a record, in the order of Scan, and a value of each that
// stands for none.
var fields = [][2]string{
	{"id", "''"},
	{"revision", "0"},
	{"writes", "0"},
	{"write_id", "''"},
	{"token_hash", "''"},
	{"prev_token_hash", "''"},
	{"token_generation", "0"},
	{"login_generation", "0"},
	{"renewal", "0::smallint"},
	{"rotated_at", "0"},
	{"logged_in", "0"},
	{"client_id", "''"},
	{"user_id", "''"},
	{"addr", "''"},
	{"user_agent", "''"},
	{"created", "0"},
	{"seen", "0"},
	{"expires", "0"},
	{"idle", "0"},
	{"lifetime", "0"},
	{"data", "''"},
}

// Columns returns the names of the columns, for a SELECT.
func Columns() string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f[0]
	}
	return strings.Join(names, ", ")
}

// ColumnsFrom is Columns with the alias of the table.
func ColumnsFrom(alias string) string {
	return alias + "." + strings.ReplaceAll(Columns(), ", ", ", "+alias+".")
}

// ColumnsOf returns the columns of a composite value that may be null. Its record has no ID then.
func ColumnsOf(value string) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = "coalesce((" + value + ")." + f[0] + ", " + f[1] + ")"
	}
	return strings.Join(parts, ", ")
}

// Row is a row of a result.
type Row interface{ Scan(dst ...any) error }

// Scan reads a record from the columns, after the values for before.
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

// Args returns the arguments of set_session that are the record, in its order.
func Args(rec *store.Record) []any {
	return []any{
		rec.ID, rec.Revision, rec.Writes, rec.WriteID[:], rec.TokenHash[:], rec.PrevTokenHash[:],
		rec.TokenGeneration, rec.LoginGeneration, int16(rec.Renewal), orZero(rec.RotatedAt), orZero(rec.LoggedIn),
		rec.ClientID, rec.UserID, []byte(rec.Addr), []byte(rec.UserAgent), Micros(rec.Created), Micros(rec.Began()),
		Micros(rec.Seen), orZero(rec.Expires), rec.Idle.Microseconds(), rec.Lifetime.Microseconds(), notNull(rec.Data),
	}
}

// ArgsOfAll returns the arguments of set_sessions that are the records, in its order: an array of each
// field.
func ArgsOfAll(recs []*store.Record) []any {
	columns := make([]any, Placeholders)
	for i, rec := range recs {
		for at, value := range Args(rec) {
			switch v := value.(type) {
			case string:
				add(columns, at, i, len(recs), v)
			case []byte:
				add(columns, at, i, len(recs), v)
			case int64:
				add(columns, at, i, len(recs), v)
			case uint64:
				add(columns, at, i, len(recs), int64(v)) //nolint:gosec // set_session takes the same
			case int16:
				add(columns, at, i, len(recs), v)
			}
		}
	}
	return columns
}

// add puts a value in the place of an array of n.
func add[T any](columns []any, at, i, n int, value T) {
	if columns[at] == nil {
		columns[at] = make([]T, n)
	}
	columns[at].([]T)[i] = value //nolint:forcetypeassert // a column has one type
}

// Placeholders is how many arguments Args returns.
const Placeholders = 22

// Micros returns the microseconds since 1970.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// orZero returns Micros of a time that may be missing, 0 for the zero time.
func orZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return Micros(t)
}

func at(micros int64) time.Time {
	if micros == 0 || micros == Micros(time.Time{}) {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// notNull returns b, or an empty value for nil, which would be stored as null.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Text reports whether PostgreSQL can store s as text: it is UTF-8 and has no NUL. No session, user
// or client has another name.
func Text(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// Topic returns the name of the messages that are kept for a session or a user.
func Topic(to store.KeptFor) string {
	if to.SessionID != "" {
		return "s" + to.SessionID
	}
	return "u" + to.UserID
}

// KeptFor undoes Topic.
func KeptFor(topic string) store.KeptFor {
	if id, ok := strings.CutPrefix(topic, "s"); ok {
		return store.KeptFor{SessionID: id}
	}
	return store.KeptFor{UserID: strings.TrimPrefix(topic, "u")}
}

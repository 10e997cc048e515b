// Package codec turns records into the columns of the table of sessions, and back.
package codec

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/store"
)

// fields are the columns that make up a record, in the order of Scan.
var fields = []string{
	"id", "revision", "writes", "write_id", "token_hash", "prev_token_hash", "token_generation", "login_generation",
	"renewal", "rotated_at", "logged_in", "client_id", "user_id", "addr", "user_agent", "created", "seen", "expires",
	"idle", "lifetime", "data",
}

// Columns returns the names of the columns, for a SELECT.
func Columns() string { return strings.Join(fields, ", ") }

// ColumnsFrom is Columns with the alias of the table.
func ColumnsFrom(alias string) string {
	return alias + "." + strings.ReplaceAll(Columns(), ", ", ", "+alias+".")
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

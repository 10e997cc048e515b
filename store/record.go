package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"time"
)

// Record is what a store holds for one session.
//
// The zero time means "never" (Expires) or "not yet" (RotatedAt, LoggedIn); a zero Idle or Lifetime
// means no limit.
type Record struct {
	// ID is the public handle of the session, stable for its life: a UUIDv4 for those of a Bridge. A
	// store accepts any string, so use it neither as a path nor as the value of a UUID column.
	ID string

	TokenHash       TokenHash // of the token in the session cookie
	PrevTokenHash   TokenHash // of the previous token, zero without one
	TokenGeneration uint64    // counts the tokens of this session, from 1
	// LoginGeneration is the token generation of the last login, 0 before the first. Sockets that
	// have proved an older generation lose the session.
	LoginGeneration uint64
	// RotatedAt is when TokenHash replaced PrevTokenHash or, with RenewalSeen and RotationSeen,
	// when it was first presented.
	RotatedAt time.Time
	Renewal   Renewal   // the reason of the rotation, and whether TokenHash has been presented since
	LoggedIn  time.Time // when the last login was; zero: never

	ClientID  string // the browser that the session belongs to
	UserID    string // the user who is logged in, "" without one
	Addr      string // address of the client when the session was created or last logged in
	UserAgent string // its user agent at the same time

	Data []byte // the session's values: a JSON object

	Created  time.Time
	Seen     time.Time     // last activity, to within the touch interval; never moves back
	Expires  time.Time     // when the session may be swept; zero: never
	Idle     time.Duration // maximum time without activity; 0: no limit
	Lifetime time.Duration // maximum age, counted from Began; 0: no limit

	Writes   uint64  // how often the session was stored
	Revision uint64  // compare-and-set counter; 0: not stored yet
	WriteID  WriteID // of the write that made this revision
}

// Renewal is the reason for which the current token replaced the previous one, and whether the
// current token has been presented since. The client doesn't expect a renewal because of age: a
// browser that doesn't receive the new token must not lose its session.
type Renewal uint8

// The values of Record.Renewal.
const (
	NotRenewed   Renewal = iota // the first token, or one from a login or rotation that has not been presented
	RenewalSent                 // the previous token was old; not presented yet
	RenewalSeen                 // the previous token was old; presented
	RotationSeen                // from a rotation; presented: the previous token is for earlier requests only
)

// TokenHash is the SHA-256 of a session token. It prints as a placeholder, so that it isn't logged.
type TokenHash [32]byte

// IsZero reports whether h is the zero value, which is the hash of no token.
func (h TokenHash) IsZero() bool { return h == TokenHash{} }

// Format implements fmt.Formatter. It prints a placeholder for every verb.
func (h TokenHash) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// LogValue implements slog.LogValuer.
func (h TokenHash) LogValue() slog.Value { return slog.StringValue(redacted) }

// WriteID identifies one attempt to store a record. A writer whose attempt ends with a conflict, or
// without a reply, compares it to find out whether the stored revision is its own.
type WriteID [16]byte

const redacted = "[redacted]"

// Clone returns a copy of r that shares no memory with it.
func (r Record) Clone() Record {
	r.Data = bytes.Clone(r.Data)
	return r
}

// Expired reports whether the record has expired at now.
func (r *Record) Expired(now time.Time) bool {
	return !r.Expires.IsZero() && !now.Before(r.Expires)
}

// LifetimeEnd returns when the record's lifetime ends; the zero time for never. The lifetime counts
// from Began: a login starts it again.
func (r *Record) LifetimeEnd() time.Time {
	if r.Lifetime <= 0 {
		return time.Time{}
	}
	return r.Began().Add(r.Lifetime)
}

// Format implements fmt.Formatter. For every verb it prints only what may be logged.
func (r Record) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "store.Record{Revision:%d Writes:%d Bytes:%d TokenGeneration:%d Seen:%s Expires:%s}",
		r.Revision, r.Writes, len(r.Data), r.TokenGeneration,
		r.Seen.Format(time.RFC3339Nano), r.Expires.Format(time.RFC3339Nano))
}

// LogValue implements slog.LogValuer: no ID, no hash, no value, no personal data.
func (r Record) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Uint64("revision", r.Revision),
		slog.Uint64("writes", r.Writes),
		slog.Int("bytes", len(r.Data)),
		slog.Uint64("tokenGeneration", r.TokenGeneration),
		slog.Time("seen", r.Seen),
		slog.Time("expires", r.Expires),
	)
}

// KeepSeen ensures that Seen never moves back. next is about to replace stored: if stored.Seen is
// after next.Seen, next gets the stored Seen, and its Expires moves by the same amount, up to its
// LifetimeEnd. Backends call it within Set, as a part of the atomic operation.
func KeepSeen(stored *Record, next *Record) {
	ahead := stored.Seen.Sub(next.Seen)
	if ahead <= 0 {
		return
	}
	next.Seen = stored.Seen
	if next.Expires.IsZero() {
		return
	}
	next.Expires = next.Expires.Add(ahead)
	if end := next.LifetimeEnd(); !end.IsZero() && next.Expires.After(end) {
		next.Expires = end
	}
}

package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"time"
)

// Record is what a store holds for one session.
//
// The zero time means "never" (Expires) or "not yet" (RotatedAt, LoggedIn); a zero Idle or Lifetime means that there is no such limit.
type Record struct {
	ID string // public handle of the session, a UUIDv4; stable for its life

	TokenHash       TokenHash // of the token in the session cookie
	PrevTokenHash   TokenHash // of the token before it; zero: there is none
	TokenGeneration uint64    // counts the tokens of this session, from 1
	LoginGeneration uint64    // the generation that the last login made, 0 before the first; sockets that proved an older one are cut off
	RotatedAt       time.Time // when TokenHash replaced PrevTokenHash; with RenewalSeen and RotationSeen, when it was first presented
	Renewal         Renewal   // why it did, and whether TokenHash has been presented since
	LoggedIn        time.Time // when the last login was; zero: never

	ClientID  string // the browser that the session belongs to
	UserID    string // who is logged in; "" for nobody
	Addr      string // address of the client when the session was created or last logged in
	UserAgent string // its user agent, likewise

	Data []byte // the session's values: a JSON object

	Created  time.Time
	Seen     time.Time     // last activity, to within the touch interval; never moves back
	Expires  time.Time     // when the session may be swept; zero: never
	Idle     time.Duration // longest silence; 0: no limit
	Lifetime time.Duration // longest age; 0: no limit

	Writes   uint64  // how often the session was stored
	Revision uint64  // compare-and-set counter; 0: not stored yet
	WriteID  WriteID // of the write that made this revision
}

// Renewal says why the current token replaced the previous one, and whether it has been presented since. A renewal
// for age was not asked for: a browser that does not receive the new token must not lose its session.
type Renewal uint8

// The states of Record.Renewal.
const (
	NotRenewed   Renewal = iota // the first token, or one made by a login or by a rotation and not presented yet
	RenewalSent                 // made because the previous token was old, and not presented yet
	RenewalSeen                 // made because the previous token was old, and presented
	RotationSeen                // made by a rotation, and presented: the previous token serves only requests that began before
)

// TokenHash is the SHA-256 of a session token. It prints as a placeholder, so that it can't leak into a log.
type TokenHash [32]byte

// IsZero reports whether h is the hash of no token at all.
func (h TokenHash) IsZero() bool { return h == TokenHash{} }

// Format implements fmt.Formatter: whatever the verb, the hash is not printed.
func (h TokenHash) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// LogValue implements slog.LogValuer.
func (h TokenHash) LogValue() slog.Value { return slog.StringValue(redacted) }

// WriteID names one attempt to store a record. A writer whose attempt is answered with a conflict, or not at all, finds out
// by it whether the stored revision is its own.
type WriteID [16]byte

const redacted = "[redacted]"

// Clone returns a copy of r that shares no memory with it.
func (r Record) Clone() Record {
	r.Data = bytes.Clone(r.Data)
	return r
}

// Expired reports whether the record is past its time at now.
func (r *Record) Expired(now time.Time) bool {
	return !r.Expires.IsZero() && !now.Before(r.Expires)
}

// Format implements fmt.Formatter: a record prints as what may be logged of it, whatever the verb.
func (r Record) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "store.Record{Revision:%d Writes:%d Bytes:%d TokenGeneration:%d Seen:%s Expires:%s}",
		r.Revision, r.Writes, len(r.Data), r.TokenGeneration, r.Seen.Format(time.RFC3339Nano), r.Expires.Format(time.RFC3339Nano))
}

// LogValue implements slog.LogValuer: no ID, no hash, no value, nothing personal.
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

// KeepSeen applies the rule that Seen never moves back to next, which is about to replace stored: if a touch has moved the
// stored Seen past next.Seen, next takes it over and its Expires moves by as much, up to the end of its lifetime. Backends
// call it within the Set, under whatever makes the Set atomic.
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
	if end := next.Created.Add(next.Lifetime); next.Lifetime > 0 && next.Expires.After(end) {
		next.Expires = end
	}
}

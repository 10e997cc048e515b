package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/store"
)

// Session is the view of one session that a request, or a call of WithSession, reads and changes.
// It is the same type over HTTP and over a connection, so one function can serve both.
//
// Changes collect in the Session and are stored at its commit: when WithSession returns, or before
// the first byte of the response. A Session is safe for concurrent use. After its last commit it is
// sealed, and so is a snapshot (GetByID). A sealed Session can still be read, also with Decode and
// RequireAuthAge. Methods that change it return ErrSessionClosed; those without a result have no
// effect and log a line.
//
// fmt and slog print a Session as the keyed hash of its ID, as in the Bridge's own log lines: no
// value, no user, no ID.
type Session struct{ *sessionState }

// sessionState is behind a pointer: where fmt can't call Format, it prints no more than an address.
type sessionState struct {
	b            *Bridge // b and the IDs never change
	id, clientID string

	slot ctxlock.Mutex // guards the fields below; held during a commit
	from *origin       // of the changes; may be shared

	draft   gateway.Draft
	proof   *opening.Proof // of the session's token; nil except over HTTP
	running *txContext     // of the function of WithSession that is running
	stores  int            // the number of commits
	logins  int            // those of them that have logged a user in
	ending  Reason         // of a Destroy that has not taken effect yet
	fate    fate
	sealed  bool          // after the last commit
	later   gateway.Later // runs when the lock is free

	changes   uint64       // made and undone so far: see review
	reviewing atomic.Int32 // calls of review that run Options.BeforeCommit
}

// fate is whether the session has ended, as far as a Session knows.
type fate uint8

const (
	fateAlive     fate = iota
	fateGone           // ended elsewhere: a commit fails
	fateUncertain      // its creation may have been stored: a commit fails, and the request's next use creates another
	fateDestroyed      // ended by this Session
)

// origin is the source of a change. The gateway passes it back when it reports the change.
type origin struct {
	via     Via
	end     *end     // of the session that the change ends; nil for another change
	request *request // nil unless via HTTP
	link    *Link    // nil unless via a connection
	lone    bool     // Create has made the client
}

// end is what the program that ends a session knows of that.
type end struct {
	reason  Reason
	userID  string // in case this process doesn't know the session
	assumed bool   // the session was found to be missing: its end may have had another reason
}

// ending returns the origin of an end that comes from o.
func (o *origin) ending(e end) *origin {
	from := *o
	from.end = &e
	return &from
}

// clientIsNew reports whether the client has no other session, because this change has created it.
func (o *origin) clientIsNew() (isNew bool) {
	if o.request != nil {
		_, isNew = o.request.creds.Client()
	}
	return isNew || o.lone
}

// addr returns what is recorded of the client's address; "" if there is no client.
func (o *origin) addr() string {
	switch {
	case o.request != nil:
		return o.request.recordedAddr()
	case o.link != nil && o.via == ViaSocket:
		return o.link.b.records.Addr(o.link.entry.Addr)
	}
	return ""
}

func (b *Bridge) newSession(rec store.Record, from *origin) (*Session, error) {
	var both struct { // in one allocation
		session Session
		state   sessionState
	}
	both.session.sessionState = &both.state
	*both.session.draft.Base() = rec
	return &both.session, both.session.init(b, from)
}

// newRecord returns the record of a session that begins now. Of addr and userAgent it has all: see
// Bridge.records.
func (b *Bridge) newRecord(id, clientID, addr, userAgent string) store.Record {
	t := b.timeouts.Load()
	return store.Record{
		ID:        id,
		ClientID:  clientID,
		Addr:      addr,
		UserAgent: userAgent,
		Data:      gateway.NewData(b.opts.Cookie == CookieBrowserSession),
		Created:   gateway.Now(),
		Idle:      zeroIfOff(t.idle),
		Lifetime:  zeroIfOff(t.lifetime),
	}
}

// newSnapshot returns a sealed Session.
func (b *Bridge) newSnapshot(rec store.Record, via Via) (*Session, error) {
	s, err := b.newSession(rec, &origin{via: via})
	if err != nil {
		return nil, err
	}
	s.sealed = true
	return s, nil
}

// snapshot returns a sealed copy of s, with the changes that aren't stored yet.
func (s *Session) snapshot() (*Session, error) {
	s.lock()
	defer s.unlock()
	c, err := s.b.newSnapshot(*s.draft.Base(), ViaAPI)
	if err == nil {
		changes := s.draft.Savepoint()
		c.draft.Restore(&changes)
		c.draft.Defer(&c.later)
	}
	return c, err
}

// copy returns a Session with the changes of s, which belongs to no request and no connection. The
// lock of s is held.
func (s *Session) copy() *Session {
	c := &Session{&sessionState{b: s.b, id: s.id, clientID: s.clientID, from: &origin{via: s.from.via}}}
	c.draft = s.draft.Savepoint()
	c.draft.Defer(&c.later)
	return c
}

// result returns the changes of a copy, and the reason of a Destroy.
func (s *Session) result() (gateway.Draft, Reason) {
	s.lock()
	defer s.unlock()
	return s.draft.Savepoint(), s.ending
}

// init makes s, whose draft has the record as its base, a Session.
func (s *Session) init(b *Bridge, from *origin) error {
	rec := s.draft.Base()
	s.b, s.id, s.clientID, s.from = b, rec.ID, rec.ClientID, from
	s.draft.Defer(&s.later)
	if err := s.draft.Begin(); err != nil {
		b.report.Failed(context.Background(), slog.LevelError, "read a stored session", rec.ID, err)
		return fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	return nil
}

func (s *Session) lock() { s.slot.Lock() }

// unlock releases the lock, and then runs s.later.
func (s *Session) unlock() {
	var later gateway.Later
	s.unlockInto(&later)
	later.Run()
}

// unlockInto is unlock for a caller that holds another lock: it moves s.later into later.
func (s *Session) unlockInto(later *gateway.Later) {
	later.Move(&s.later)
	s.slot.Unlock()
}

// ID returns the session's public handle. Its user and administrators may see it: it opens nothing.
func (s *Session) ID() string { return s.id }

// ClientID returns the client that the session belongs to. Over HTTP it asks for the client cookie,
// as ClientIDFrom does.
func (s *Session) ClientID() string {
	if rq := s.from.request; rq != nil {
		rq.creds.AskClient()
	}
	return s.clientID
}

// UserID returns the user who is logged in, "" for none.
func (s *Session) UserID() string {
	s.lock()
	defer s.unlock()
	return s.draft.UserID()
}

// IsNew reports whether the session has not been stored yet.
func (s *Session) IsNew() bool { return s.record().Revision == 0 }

// Created returns when the session was created. A login doesn't change it: see LoggedIn.
func (s *Session) Created() time.Time { return s.record().Created }

// Expires returns when the session ends if it isn't used any more: after its idle timeout and what
// Options.TouchInterval may add to it, but at the end of its lifetime at the latest. It is the zero
// time for never, and for a session that isn't stored yet.
func (s *Session) Expires() time.Time { return s.record().Expires }

// IdleDeadline returns the time until which the session surely lasts if it isn't used any more, as
// far as its idle timeout is concerned: the recorded activity, which may be up to
// Options.TouchInterval old, and the timeout. The session ends between IdleDeadline and Expires. If
// Expires comes first, that is the end of the lifetime, which activity doesn't move. It is the zero
// time without an idle timeout, and for a session that isn't stored yet.
//
// A page with a countdown uses TimeLeft.
func (s *Session) IdleDeadline() time.Time {
	rec := s.record()
	if rec.Idle <= 0 || rec.Revision == 0 {
		return time.Time{}
	}
	return rec.Seen.Add(rec.Idle)
}

// TimeLeft returns how long the session surely lasts if it isn't used any more: until IdleDeadline
// or the end of its lifetime, whichever is earlier. It is 0 between IdleDeadline and Expires. ends
// is false if the session never ends by time, or isn't stored yet.
//
// A page with a countdown asks with Bridge.Peek, which is no activity.
func (s *Session) TimeLeft() (left time.Duration, ends bool) {
	end := s.Expires()
	if end.IsZero() {
		return 0, false
	}
	if idle := s.IdleDeadline(); !idle.IsZero() && idle.Before(end) {
		end = idle
	}
	return max(0, time.Until(end)), true
}

// record returns a copy of the stored record. It shares the Data.
func (s *Session) record() store.Record {
	s.lock()
	defer s.unlock()
	return *s.draft.Base()
}

// Get returns the value of key, decoded from JSON: an integer as int64 if it fits, any other number
// as float64, objects and arrays as map[string]any and []any. It is a copy: to change the session,
// use Set. Key gives typed access.
func (s *Session) Get(key string) (any, bool) {
	raw := s.raw(key)
	if raw == nil {
		return nil, false
	}
	v, err := gateway.DecodeValue(raw)
	return v, err == nil
}

func (s *Session) raw(key string) []byte {
	s.lock()
	defer s.unlock()
	return s.draft.Raw(key)
}

// Set sets key to v, which it encodes as JSON at once. If v can't be encoded, the commit fails with
// a *ValueError that names the key.
func (s *Session) Set(key string, v any) {
	raw, err := gateway.EncodeValue(v) // without the lock: a method of v may read the session
	s.change("Set", func() { s.draft.SetRaw(key, raw, err) })
}

// Delete removes key.
func (s *Session) Delete(key string) { s.change("Delete", func() { s.draft.Delete(key) }) }

// Clear removes every key and flash. The user stays logged in.
func (s *Session) Clear() { s.change("Clear", s.draft.Clear) }

// Keys returns the keys as they are at the call.
func (s *Session) Keys() iter.Seq[string] {
	s.lock()
	defer s.unlock()
	return slices.Values(s.draft.Keys())
}

// Decode reads the whole session into dst, as encoding/json does with an object.
func (s *Session) Decode(dst any) error {
	s.lock()
	data, err := s.draft.Object()
	s.unlock()
	if err == nil {
		err = json.Unmarshal(data, dst)
	}
	if err != nil {
		return fmt.Errorf("bridge: decode the session: %w", err)
	}
	return nil
}

// Encode sets a key for each field of src, which must encode as a JSON object. Other keys stay.
func (s *Session) Encode(src any) error {
	if err := s.unsealed(); err != nil {
		return err
	}
	data, err := json.Marshal(src)
	if err != nil {
		return fmt.Errorf("bridge: encode the session: %w", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		return errors.New("bridge: encode the session: the value is no JSON object")
	}
	encoded := make(map[string]gateway.Encoded, len(object))
	for key, raw := range object {
		encoded[key] = gateway.EncodePart(src, key, raw)
	}
	return s.try(func() error { s.draft.SetAll(encoded); return nil })
}

// AddFlash adds a message that is shown once. Messages of concurrent requests are all stored.
func (s *Session) AddFlash(v any) {
	raw, err := gateway.EncodeValue(v) // as in Set
	s.change("AddFlash", func() { s.draft.AddFlashRaw(raw, err) })
}

// Flashes returns the messages, oldest first, and removes them.
func (s *Session) Flashes() (messages []any) {
	s.change("Flashes", func() { messages = s.draft.TakeFlashes() })
	return messages
}

// SetIdleTimeout changes how long the session may be unused, SetLifetime its maximum age; Off
// removes the limit. With a value that is neither Off nor from MinTimeout to 100 years the commit
// fails.
func (s *Session) SetIdleTimeout(d time.Duration) {
	s.change("SetIdleTimeout", func() { s.draft.SetIdle(checkedLimit(&s.draft, "IdleTimeout", d)) })
}

// SetLifetime changes the session's maximum age, counted from its creation or, if there was one,
// its last login: see SetIdleTimeout. The browser keeps its cookie for the lifetime at the time the
// cookie was set. Over HTTP the cookie is set again; after a longer lifetime was set elsewhere, a
// Rotate in the next request sets it.
func (s *Session) SetLifetime(d time.Duration) {
	s.change("SetLifetime", func() { s.draft.SetLifetime(checkedLimit(&s.draft, "Lifetime", d)) })
}

// SetPersistent says whether the browser keeps the session's cookie when it is closed ("remember
// me"), instead of Options.Cookie. The choice is stored with the session: a rotated or renewed
// cookie, Clear and Login keep it, so a login form should call SetPersistent in both cases. The
// session's timeouts don't change. Over HTTP the cookie is set again; after a call on a connection,
// a Rotate in the next request sets it.
func (s *Session) SetPersistent(on bool) {
	s.change("SetPersistent", func() { s.draft.EndWithBrowser(!on) })
}

func checkedLimit(draft *gateway.Draft, name string, d time.Duration) time.Duration {
	if err := ranges.Check(name, d, MinTimeout, true); err != nil {
		draft.Fail(err)
		return 0
	}
	return zeroIfOff(d)
}

// change calls do, for methods without a result: it logs and counts a change to a sealed Session.
func (s *Session) change(method string, do func()) {
	if err := s.try(func() error { do(); return nil }); err != nil {
		s.b.stats.closedWrites.Add(1)
		s.b.report.Failed(context.Background(), slog.LevelWarn, "do Session."+method+": the change is lost", s.id, err)
	}
}

// try calls do under the lock, or returns ErrSessionClosed for a sealed Session.
func (s *Session) try(do func() error) error {
	s.lock()
	defer s.unlock()
	if s.sealed {
		if s.running != nil {
			s.running.lost = true
		}
		return ErrSessionClosed
	}
	s.changes++
	return do()
}

// unsealed returns ErrSessionClosed for a sealed Session. Unlike try, it fails no function of
// WithSession.
func (s *Session) unsealed() error {
	s.lock()
	defer s.unlock()
	if s.sealed {
		return ErrSessionClosed
	}
	return nil
}

// seal makes s reject further changes.
func (s *Session) seal() {
	s.lock()
	defer s.unlock()
	s.sealed = true
}

// Err returns why s can't store anything any more: ErrSessionClosed after its last commit,
// ErrSessionGone when the session has ended, ErrTokenRotated for a request whose token a login has
// replaced (see Bridge.Session). It is nil otherwise. Call it before an action that a failing
// commit doesn't undo.
func (s *Session) Err() error {
	s.lock()
	defer s.unlock()
	switch err := s.ended(); {
	case err != nil:
		return err
	case s.sealed:
		return ErrSessionClosed
	case s.proof.Locked():
		return ErrTokenRotated
	}
	return nil
}

// ended returns ErrSessionGone if the session has ended, or Destroy was called. The lock is held.
func (s *Session) ended() error {
	if s.fate != fateAlive || s.ending != "" {
		return ErrSessionGone
	}
	return nil
}

// over reports whether the session has ended, as far as s knows.
func (s *Session) over() bool {
	s.lock()
	defer s.unlock()
	return s.fate != fateAlive
}

// absent reports whether the session is neither stored nor about to be.
func (s *Session) absent() bool {
	s.lock()
	defer s.unlock()
	return s.draft.Base().Revision == 0 && !s.draft.Changed()
}

// overHere reports whether the session has ended, or may have, by an action of s itself. The lock
// is held.
func (s *Session) overHere() bool { return s.fate == fateUncertain || s.fate == fateDestroyed }

// isLocked reports whether a login has replaced the token: see opening.Proof.Locked.
func (s *Session) isLocked() bool {
	s.lock()
	defer s.unlock()
	return s.proof.Locked()
}

// Format implements fmt.Formatter.
func (s Session) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "bridge.Session(%s)", s.hashed()) }

// LogValue implements slog.LogValuer.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.hashed()) }

func (s Session) hashed() string {
	if s.sessionState == nil || s.b == nil {
		return ""
	}
	return s.b.report.Hash(s.id)
}

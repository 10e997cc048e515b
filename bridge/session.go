package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/store"
)

// Session is one session as one request, or one WithSession, sees and changes it. It is the same
// type over HTTP and over a connection, so one function can serve both.
//
// Changes collect in the Session and are stored at its commit: when WithSession returns, or before
// the first byte of the response. A Session is safe for concurrent use. After its last commit it is
// sealed, and so is a snapshot (GetByID): it can still be read (Decode and RequireAuthAge only
// read), methods that change it and return an error return ErrSessionClosed, and those that return
// none have no effect but a line in the log.
//
// Whatever the verb, fmt prints it without values, user or ID, and slog logs what the Bridge's own
// lines name it by.
type Session struct{ *sessionState }

// sessionState is behind a pointer, which fmt prints as an address where it can't call Format: with
// the verb %w, and with a verb for another type in a field that isn't exported.
type sessionState struct {
	b            *Bridge // this and the IDs never change
	id, clientID string

	slot ctxlock.Mutex // lock of all below; held during a commit
	from *origin       // who changes it; others may share it

	draft   gateway.Draft
	proof   *opening.Proof // of the session's token; nil but over HTTP
	running *mark          // a function of WithSession, while it runs
	stores  int            // how often s has been stored
	ending  Reason         // Destroy was called, and has not taken effect yet
	fate    fate
	sealed  bool          // s has seen its last commit
	later   gateway.Later // to be done when the lock is free
}

// fate is what has become of the session, as far as a Session knows.
type fate uint8

const (
	fateAlive     fate = iota
	fateGone           // another has ended it: a commit fails
	fateUncertain      // its creation may have been stored: likewise, and the request's next use creates another session
	fateDestroyed      // this Session has ended it
)

// origin tells who makes a change. The gateway hands it back with the change's report.
type origin struct {
	via     Via
	reason  Reason   // of an end
	userID  string   // of the session that ends, where nobody else may know
	request *request // nil unless via HTTP
	link    *Link    // nil unless via a connection
}

// clientIsNew reports whether only this request can know the session's client.
func (o *origin) clientIsNew() (isNew bool) {
	if o.request != nil {
		_, isNew = o.request.creds.Client()
	}
	return isNew
}

func (b *Bridge) newSession(rec store.Record, from *origin) (*Session, error) {
	var both struct { // in one allocation
		session Session
		state   sessionState
	}
	s := &both.session
	s.sessionState = &both.state
	if err := s.init(b, rec, from); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Session) init(b *Bridge, rec store.Record, from *origin) error {
	s.b, s.id, s.clientID, s.from = b, rec.ID, rec.ClientID, from
	s.draft.Defer(&s.later)
	if err := s.draft.Rebase(rec); err != nil {
		b.failed(context.Background(), slog.LevelError, Failure{"read a stored session", rec.ID, err})
		return fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	return nil
}

func (s *Session) lock() { s.slot.Lock() }

// unlock gives the lock back, and does then what was left for that.
func (s *Session) unlock() {
	var later gateway.Later
	s.unlockInto(&later)
	later.Run()
}

// unlockInto is unlock for a caller that holds another lock: it does that later.
func (s *Session) unlockInto(later *gateway.Later) {
	later.Move(&s.later)
	s.slot.Unlock()
}

// ID returns the session's public handle. It may be shown to its user and to administrators; it
// opens nothing.
func (s *Session) ID() string { return s.id }

// ClientID returns the client that the session belongs to. Over HTTP it asks for the client cookie,
// as ClientIDFrom does.
func (s *Session) ClientID() string {
	if rq := s.from.request; rq != nil {
		rq.creds.AskClient()
	}
	return s.clientID
}

// UserID returns who is logged in, "" for nobody.
func (s *Session) UserID() string {
	s.lock()
	defer s.unlock()
	return s.draft.UserID()
}

// IsNew reports whether the session has not been stored yet.
func (s *Session) IsNew() bool { return s.record().Revision == 0 }

// Created returns when the session was created.
func (s *Session) Created() time.Time { return s.record().Created }

// Expires returns when the session ends if nobody uses it, to within the touch interval; the zero
// time for never, and for a session that isn't stored yet.
func (s *Session) Expires() time.Time { return s.record().Expires }

// record returns a copy of what is stored, which shares the Data.
func (s *Session) record() store.Record {
	s.lock()
	defer s.unlock()
	return *s.draft.Base()
}

// Get returns the value of key. It is always a decoded one: an integer as int64 if it fits, any
// other number as float64, objects and arrays as map[string]any and []any. Changing it in place
// changes nothing: Set it. Key gives typed access.
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

// Set gives key a value, as it is now: it is encoded as JSON at once. A value that can't be encoded
// fails the commit with a *ValueError that names the key.
func (s *Session) Set(key string, v any) {
	raw, err := gateway.EncodeValue(v) // which may call methods of v, and those may look at the session
	s.change("Set", func() { s.draft.SetRaw(key, raw, err) })
}

// Delete removes key.
func (s *Session) Delete(key string) {
	s.change("Delete", func() { s.draft.Delete(key) })
}

// Clear removes every key and flash. The user stays logged in.
func (s *Session) Clear() {
	s.change("Clear", s.draft.Clear)
}

// Keys returns the keys as they are at the call.
func (s *Session) Keys() iter.Seq[string] {
	s.lock()
	defer s.unlock()
	return slices.Values(s.draft.Keys())
}

// Decode reads the whole session into dst, as encoding/json does with an object.
func (s *Session) Decode(dst any) error {
	s.lock()
	object := make(map[string]json.RawMessage)
	for _, key := range s.draft.Keys() {
		object[key] = s.draft.Raw(key)
	}
	s.unlock()
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("bridge: decode the session: %w", err)
	}
	if err := json.Unmarshal(data, dst); err != nil {
		return fmt.Errorf("bridge: decode the session: %w", err)
	}
	return nil
}

// Encode sets a key for each field of src, which encodes as a JSON object. Keys that it doesn't
// name stay.
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
	return s.try(func() error {
		for key, v := range encoded {
			s.draft.SetEncoded(key, v)
		}
		return nil
	})
}

// AddFlash adds a message that is shown once. Two requests that add one each both have theirs
// stored.
func (s *Session) AddFlash(v any) {
	raw, err := gateway.EncodeValue(v) // as in Set
	s.change("AddFlash", func() { s.draft.AddFlashRaw(raw, err) })
}

// Flashes returns the messages, oldest first, and removes those that it returns.
func (s *Session) Flashes() (messages []any) {
	s.change("Flashes", func() { messages = s.draft.TakeFlashes() })
	return messages
}

// SetIdleTimeout changes the session's longest silence, SetLifetime its longest age; Off switches
// the limit off. A value that is neither Off nor from 1 ms to 100 years fails the commit.
func (s *Session) SetIdleTimeout(d time.Duration) {
	s.change("SetIdleTimeout", func() { s.draft.SetIdle(checkedLimit(&s.draft, "IdleTimeout", d)) })
}

// SetLifetime changes the session's longest age: see SetIdleTimeout. The browser keeps its cookie
// as long as the session was to live when the cookie was set: over HTTP it is set again, a longer
// life from elsewhere needs a Rotate in the next request to reach it.
func (s *Session) SetLifetime(d time.Duration) {
	s.change("SetLifetime", func() { s.draft.SetLifetime(checkedLimit(&s.draft, "Lifetime", d)) })
}

func checkedLimit(draft *gateway.Draft, name string, d time.Duration) time.Duration {
	if d != Off && (d < time.Millisecond || d > maxTimeout) {
		draft.Fail(fmt.Errorf("bridge: %s: %v is out of range: %v to %v, or Off", name, d, time.Millisecond, maxTimeout))
		return 0
	}
	return zeroIfOff(d)
}

// change does something that has no way to return an error.
func (s *Session) change(method string, do func()) {
	err := s.try(func() error { do(); return nil })
	if err != nil {
		s.b.stats.closedWrites.Add(1)
		s.b.failed(context.Background(), slog.LevelWarn, Failure{"do Session." + method + ": the change is lost", s.id, err})
	}
}

func (s *Session) try(do func() error) error {
	s.lock()
	defer s.unlock()
	if s.sealed {
		if s.running != nil {
			s.running.lost = true
		}
		return ErrSessionClosed
	}
	return do()
}

// unsealed returns ErrSessionClosed for a sealed Session.
func (s *Session) unsealed() error {
	s.lock()
	defer s.unlock()
	if s.sealed {
		return ErrSessionClosed
	}
	return nil
}

// seal ends the Session's part in the session.
func (s *Session) seal() {
	s.lock()
	defer s.unlock()
	s.sealed = true
}

// Err says why nothing can be stored with s any more: ErrSessionClosed after its last commit,
// ErrSessionGone when the session has ended, ErrTokenRotated for a request whose token a login has
// replaced (see Bridge.Session). It is nil otherwise. A handler asks it before it does something
// that a failing commit doesn't undo.
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

// overHere reports whether the session has ended, and that is known by what s itself has done. The
// lock is held.
func (s *Session) overHere() bool { return s.fate == fateUncertain || s.fate == fateDestroyed }

// isLocked reports whether a login has replaced the token, and s doesn't log the same user in
// again.
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
	if s.sessionState == nil {
		return ""
	}
	return s.b.hashed(s.id)
}

package gorillastore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillacodec"
)

// Session is the session of a request. Values of the type are equal if they are the same session.
type Session interface {
	ID() string
	// View and Edit run a function on the session's draft, which nothing else changes meanwhile.
	// Edit returns an error, and runs nothing, if the session can't be changed.
	View(func(*gateway.Draft))
	Edit(func(*gateway.Draft)) error
	// Commit stores what was changed.
	Commit(context.Context) error
	// Reload puts the draft on top of what is stored now.
	Reload(context.Context) error
	// Destroy has the next Commit end the session.
	Destroy()
}

// Config is what a Store needs. All fields are needed.
type Config struct {
	// Name is the name of the session's own values; every other name is a namespace.
	Name string
	// Options are those of the cookie; MaxAge follows from the session's lifetime. Of the Options in a
	// Save only MaxAge has an effect.
	Options     sessions.Options
	Lifetime    func() time.Duration // of a new session; 0: no limit
	NeverSecure bool                 // the cookie has no Secure attribute, whatever the connection
	// EndsWithBrowser: the cookie of a new session has no age.
	EndsWithBrowser bool
	MaxAge          time.Duration // the longest of a cookie
	MaxLifetime     time.Duration // the longest of a session

	Logger *slog.Logger
	// Session returns the session of a request, and what this package keeps for the request.
	Session func(*http.Request) (Session, *Reads, error)
}

// Store implements sessions.Store. It is safe for concurrent use.
type Store struct {
	cfg     Config
	ignored atomic.Uint32 // the fields of sessions.Options that a log line has named, as bits
	named   atomic.Bool   // a log line has named a name that isn't the main one
}

// New returns a Store.
func New(cfg Config) *Store { return &Store{cfg: cfg} }

// Reads holds what the gorilla sessions of one request contained when they were read or saved last.
// The zero Reads is ready to use.
type Reads struct {
	mu sync.Mutex
	of map[*sessions.Session]read
}

// read is the content of a gorilla session that its changes are relative to.
type read struct {
	values  map[string]gorillacodec.Stored
	options sessions.Options // that it was given
	failed  *failure         // the last Save; nil: it didn't fail
}

// failure is a Save that failed.
type failure struct {
	of Session
	*gorillacodec.Attempt
}

func (rs *Reads) put(gs *sessions.Session, r read) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.of == nil {
		rs.of = make(map[*sessions.Session]read)
	}
	rs.of[gs] = r
}

func (rs *Reads) get(gs *sessions.Session) (r read, ok bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok = rs.of[gs]
	return r, ok
}

// Get returns the request's session, which sessions.GetRegistry keeps for the request.
func (st *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(st, name)
}

// New returns the session as it is now. If some values can't be read, it returns the session
// without them, and an error.
func (st *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	gs := sessions.NewSession(st, name)
	gs.IsNew = true
	options := st.options(nil)
	gs.Options = &options
	s, reads, err := st.cfg.Session(r)
	if err != nil {
		return gs, err
	}
	space := st.space(name)
	var was read
	s.View(func(d *gateway.Draft) {
		was.values, was.options = space.Read(d), st.options(d.Base())
		gs.IsNew = d.Base().Revision == 0
	})
	options = was.options
	gs.ID = s.ID()
	if !space.IsMain() {
		gs.IsNew = len(was.values) == 0
	}
	for key, is := range was.values {
		v, unreadable := is.Decode()
		if unreadable != nil {
			delete(was.values, key) // it stays as it is
			err = errors.Join(err, &gateway.ValueError{Key: key, Err: unreadable})
			continue
		}
		gs.Values[key] = v
	}
	reads.put(gs, was)
	return gs, err
}

// Save applies the changes since gs was read to the request's session, and stores it. Changes that
// others have made meanwhile stay.
func (st *Store) Save(r *http.Request, _ http.ResponseWriter, gs *sessions.Session) error {
	space := st.space(gs.Name())
	ends := gs.Options != nil && gs.Options.MaxAge < 0
	var now map[string]gorillacodec.Stored
	if !ends {
		var err error
		if now, err = space.Encode(gs.Values); err != nil {
			return err
		}
	}
	s, reads, err := st.cfg.Session(r)
	if err != nil {
		return err
	}
	was, known := reads.get(gs)
	if !known { // the code has made it
		was.options = st.options(nil)
	}
	if ends && space.IsMain() {
		s.Destroy()
		if err := s.Commit(r.Context()); err != nil {
			return err
		}
		reads.put(gs, read{options: was.options}) // later changes are for another session
		return nil
	}
	if err := undoFailed(r.Context(), s, space, &was); err != nil {
		return err
	}
	attempt := &failure{s, gorillacodec.NewAttempt()}
	err = s.Edit(func(d *gateway.Draft) {
		if ends { // also what others have put there since it was read
			was.values = space.Read(d)
		}
		space.Change(d, was.values, now, attempt.Attempt)
		st.applyOptions(d, space, gs.Options, &was.options, attempt.Attempt)
	})
	if err == nil {
		err = s.Commit(r.Context())
	}
	if err != nil {
		was.failed = attempt
		reads.put(gs, was)
		return err
	}
	was.values = now
	if gs.Options != nil {
		was.options.MaxAge = gs.Options.MaxAge
	}
	reads.put(gs, was)
	return nil
}

// undoFailed takes back the changes of an earlier Save that failed, and notes which of them were
// stored nevertheless.
func undoFailed(ctx context.Context, s Session, space gorillacodec.Space, was *read) error {
	failed := was.failed
	if failed == nil || failed.of != s {
		return nil // the changes have gone with it
	}
	if err := s.Reload(ctx); err != nil {
		return fmt.Errorf("bridge: save the session anew: %w", err)
	}
	var stored map[string]gorillacodec.Stored
	err := s.Edit(func(d *gateway.Draft) {
		failed.Undo(d)
		stored = space.Read(d)
	})
	if err != nil {
		return err
	}
	was.values, was.failed = failed.Confirmed(was.values, stored), nil
	return nil
}

// space returns where the values of a name are stored.
func (st *Store) space(name string) gorillacodec.Space {
	if name == st.cfg.Name || name == "" {
		return gorillacodec.Main()
	}
	if !st.named.Swap(true) { // nothing else would tell code that expects the main session
		st.cfg.Logger.Info(
			"a gorilla/sessions name that isn't Options.GorillaName has values of its own, and its end isn't the session's",
			slog.String("name", name),
			slog.String("GorillaName", st.cfg.Name),
		)
	}
	return gorillacodec.Named(name)
}

package bridge

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillacodec"
)

// Gorilla returns a sessions.Store for code that is written against gorilla/sessions. It works on
// the same session as everything else, so the code around it can move over handler by handler.
// The cookie is this Bridge's.
//
// The session with the name Options.GorillaName is the Bridge's own: its values are those of
// Session, under the same keys, and a Save with a negative MaxAge destroys it, login and all.
// Every other name is a namespace of its own within it, which no other code sees, and whose end
// is the end of its values and of nothing else.
//
// Strings, booleans, nil, all of Go's integers and floats, and slices and maps of the common ones
// are stored as JSON, as Session.Set stores them, and come back with the type that they had.
// Values of other types are stored as gob, so their types need gob.Register, as with gorilla's
// own stores; Session doesn't see them. A value that other code has stored since is an int if it
// is an integer, and otherwise what Session.Get says. A key must be a string.
//
// Save stores what this session has changed since it was read, merged key by key: what others
// have stored or deleted meanwhile stays so. After a Save that failed the next one stores the
// values as they are then; without one, what failed is tried once more before the response
// leaves, which then fails too, rather than lie. Of Options a MaxAge counts that the code has
// set: 0 has the browser forget the cookie when its own session ends, more is how many seconds
// from now the session lives at most. Path, Domain, Secure, HttpOnly, SameSite and Partitioned
// are the Bridge's, and a line in the log says so, once, where code asks for others. As gorilla's
// stores do, Get returns a session also with an error: without the values that could not be read,
// which a Save leaves as they are.
func (b *Bridge) Gorilla() sessions.Store { return gorillaStore{b} }

type gorillaStore struct{ b *Bridge }

// gorillaRead is what a gorilla session was when it was read or saved last, to tell its changes by.
type gorillaRead struct {
	values  map[string]gorillacodec.Stored
	options sessions.Options // that it was given
	failed  *gorillaFailure  // the last Save; nil: it didn't fail
}

// gorillaFailure is a Save that failed.
type gorillaFailure struct {
	of *Session
	*gorillacodec.Attempt
}

// space returns where the values of a name are.
func (g gorillaStore) space(name string) gorillacodec.Space {
	if name == g.b.opts.GorillaName || name == "" {
		return gorillacodec.Main()
	}
	g.sayOther(name)
	return gorillacodec.Named(name)
}

// Get returns the request's session, which sessions.GetRegistry keeps for the request.
func (g gorillaStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(g, name)
}

// New returns the session as it is now.
func (g gorillaStore) New(r *http.Request, name string) (*sessions.Session, error) {
	gs := sessions.NewSession(g, name)
	gs.IsNew = true
	s, err := g.b.Session(r)
	if err != nil {
		options := g.options(nil)
		gs.Options = &options
		return gs, err
	}
	space := g.space(name)
	s.lock()
	values, base := space.Read(&s.draft), *s.draft.Base()
	s.unlock()
	read := &gorillaRead{values: values, options: g.options(&base)}
	options := read.options
	gs.Options = &options
	gs.ID, gs.IsNew = s.ID(), s.IsNew()
	if !space.IsMain() {
		gs.IsNew = len(values) == 0
	}
	for key, is := range values {
		v, unreadable := is.Decode()
		if unreadable != nil {
			delete(values, key) // it stays as it is
			err = errors.Join(err, &ValueError{Key: key, Err: unreadable})
			continue
		}
		gs.Values[key] = v
	}
	return gs, errors.Join(err, g.remember(r, gs, read))
}

// remember and recall keep what is known of a session for the request.
func (g gorillaStore) remember(r *http.Request, gs *sessions.Session, read *gorillaRead) error {
	rq, err := g.b.requestFor(r)
	if err != nil {
		return err
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.gorilla == nil {
		rq.gorilla = make(map[*sessions.Session]*gorillaRead)
	}
	rq.gorilla[gs] = read
	return nil
}

func (g gorillaStore) recall(r *http.Request, gs *sessions.Session) (read gorillaRead) {
	if rq, err := g.b.requestFor(r); err == nil {
		rq.mu.Lock()
		defer rq.mu.Unlock()
		if known := rq.gorilla[gs]; known != nil {
			return *known
		}
	}
	read.options = g.options(nil) // it is one that nobody has read
	return read
}

// Save puts what has changed since it was read into the request's session, and stores it. What
// others have changed meanwhile stays.
func (g gorillaStore) Save(r *http.Request, _ http.ResponseWriter, gs *sessions.Session) error {
	space := g.space(gs.Name())
	ends := gs.Options != nil && gs.Options.MaxAge < 0
	var now map[string]gorillacodec.Stored
	if !ends {
		var err error
		if now, err = space.Encode(gs.Values); err != nil {
			return err
		}
	}
	s, err := g.b.Session(r)
	if err != nil {
		return err
	}
	read := g.recall(r, gs)
	if ends && space.IsMain() {
		s.Destroy()
		if err := s.commit(r.Context()); err != nil {
			return err
		}
		return g.remember(r, gs, &gorillaRead{options: read.options}) // what comes now is for another session
	}
	if err := g.undoFailed(r, s, space, &read); err != nil {
		return err
	}
	failure := &gorillaFailure{s, gorillacodec.NewAttempt()}
	err = s.try(func() error {
		if ends { // also what others have put there since it was read
			read.values = space.Read(&s.draft)
		}
		space.Change(&s.draft, read.values, now, failure.Attempt)
		g.applyOptions(s, space, gs.Options, &read.options, failure.Attempt)
		return nil
	})
	if err == nil {
		err = s.commit(r.Context())
	}
	if err != nil {
		read.failed = failure
		return errors.Join(err, g.remember(r, gs, &read))
	}
	read = gorillaRead{values: now, options: read.options}
	if gs.Options != nil {
		read.options.MaxAge = gs.Options.MaxAge
	}
	return g.remember(r, gs, &read)
}

// undoFailed takes back what a Save before this one, which failed, has changed in the session, and
// notes what of it has been stored all the same.
func (g gorillaStore) undoFailed(r *http.Request, s *Session, space gorillacodec.Space, read *gorillaRead) error {
	failed := read.failed
	if failed == nil || failed.of != s {
		return nil // that one's changes have gone with it
	}
	if !s.isRunning() { // otherwise it is what its function has loaded
		var later gateway.Later
		err := s.refresh(r.Context(), &later)
		later.Run()
		if err != nil {
			return fmt.Errorf("bridge: save the session anew: %w", err)
		}
	}
	var stored map[string]gorillacodec.Stored
	err := s.try(func() error {
		failed.Undo(&s.draft)
		stored = space.Read(&s.draft)
		return nil
	})
	if err != nil {
		return err
	}
	read.values, read.failed = failed.Confirmed(read.values, stored), nil
	return nil
}

// isRunning reports whether a function of WithSession runs on s.
func (s *Session) isRunning() bool {
	s.lock()
	defer s.unlock()
	return s.running != nil
}

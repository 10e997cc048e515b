package bridge

import (
	"context"
	"net/http"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
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
func (b *Bridge) Gorilla() sessions.Store { return b.gorilla }

func (b *Bridge) newGorilla() *gorillastore.Store {
	o := b.opts
	return gorillastore.New(gorillastore.Config{
		Name: o.GorillaName,
		Options: sessions.Options{
			Path: o.Path, Domain: o.Domain, HttpOnly: true, SameSite: o.SameSite, Secure: o.Secure == SecureAlways, Partitioned: o.Partitioned,
		},
		Lifetime:    zeroIfOff(o.Lifetime),
		NeverSecure: o.Secure == SecureNever,
		MaxAge:      credentials.MaxAge,
		MaxLifetime: maxTimeout,
		Logger:      o.Logger,
		Session: func(r *http.Request) (gorillastore.Session, *gorillastore.Reads, error) {
			s, err := b.Session(r)
			if err != nil {
				return nil, nil, err
			}
			rq, err := b.requestFor(r)
			if err != nil {
				return nil, nil, err
			}
			rq.mu.Lock()
			defer rq.mu.Unlock()
			if rq.gorilla == nil {
				rq.gorilla = new(gorillastore.Reads)
			}
			return gorillaSession{s}, rq.gorilla, nil
		},
	})
}

// gorillaSession implements gorillastore.Session.
type gorillaSession struct{ *Session }

func (s gorillaSession) Commit(ctx context.Context) error { return s.commit(ctx) }

func (s gorillaSession) View(do func(*gateway.Draft)) {
	s.lock()
	defer s.unlock()
	do(&s.draft)
}

func (s gorillaSession) Edit(do func(*gateway.Draft)) error {
	return s.try(func() error { do(&s.draft); return nil })
}

// Reload does nothing within a function of WithSession, which has just loaded the session.
func (s gorillaSession) Reload(ctx context.Context) error {
	s.lock()
	running := s.running != nil
	s.unlock()
	if running {
		return nil
	}
	var later gateway.Later
	defer later.Run()
	return s.refresh(ctx, &later)
}

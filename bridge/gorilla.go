package bridge

import (
	"context"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Gorilla returns a sessions.Store for code that is written against gorilla/sessions. It works on
// the request's session and its cookie, so that an application can migrate handler by handler.
//
// The session with the name Options.GorillaName is the Bridge's own: its values are those of
// Session, under the same keys, and a Save with a negative MaxAge destroys it and its login. Every
// other name is a namespace within the session, which other code doesn't see; the end of it removes
// its values only.
//
// Strings, booleans, nil, all integers and floats of Go, and common slices and maps of these are
// stored as JSON, as Session.Set stores them, and keep their types. Values of other types are
// stored as gob, so their types need gob.Register, as with gorilla's own stores; Session doesn't
// see them. A value that other code has stored since is an int if it is an integer, and otherwise
// as Session.Get returns it. A key must be a string.
//
// Save stores the changes since the session was read, merged key by key: other changes by others
// remain. After a failed Save the next one stores the values as they are then; without another
// Save, the changes are stored before the response is sent, which fails if that fails. Of Options,
// only a MaxAge that the code has set has an effect: with 0 the browser deletes the cookie when it
// is closed, and more is the maximum number of seconds that the session lives from now. Path,
// Domain, Secure, HttpOnly, SameSite and Partitioned are the Bridge's; if code sets others, that is
// logged once. As gorilla's stores do, Get returns a session also with an error: without the values
// that could not be read, which a Save doesn't change.
func (b *Bridge) Gorilla() sessions.Store { return b.gorilla }

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

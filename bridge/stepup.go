package bridge

import (
	"fmt"
	"net/http"
	"time"
)

// LoggedIn returns when the session's user last logged in, on whatever node; the zero time for never. It is safe for concurrent use.
func (s *Session) LoggedIn() time.Time {
	s.lock()
	defer s.unlock()
	return s.draft.LoggedIn()
}

// RequireAuthAge returns nil when the last login is at most d ago, and so is good enough for something sensitive (ASVS 7.5.1–3). Otherwise
// ErrAuthAge: the user has to log in once more, with Login. ErrSessionGone when the session has ended. It works over HTTP and over a connection.
//
// A login that lies further in the future than d is none: a clock was set back.
func (s *Session) RequireAuthAge(d time.Duration) error {
	s.lock()
	defer s.unlock()
	if s.gone || s.ended || s.ending != "" {
		return ErrSessionGone
	}
	at := s.draft.LoggedIn()
	if at.IsZero() {
		return fmt.Errorf("%w: there was none", ErrAuthAge)
	}
	if age := time.Since(at); age > d || age < -d {
		return ErrAuthAge
	}
	return nil
}

// RequireAuthAge returns next behind Session.RequireAuthAge: a request whose session has no login, or one that is longer ago than d, is answered with 401,
// another error with its HTTPStatus. It works with or without Handler around it.
//
// There is no WWW-Authenticate in the answer. The challenge for this, insufficient_user_authentication (RFC 9470), belongs to the schemes of OAuth: it sends a
// client to its authorization server for another access token, and here there is neither. What asks for the login is the application's page.
func (b *Bridge) RequireAuthAge(d time.Duration, next http.Handler) http.Handler {
	return b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.RequireAuthAge(d)
		}
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		b.WriteError(w, r, err)
	}))
}

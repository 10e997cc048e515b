package bridge

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Login makes the session that of a user, with a new token: the old one opens nothing from the
// commit on, and connections that were opened with it are cut off until they come back with the new
// one (ASVS 7.2.4).
//
// What a guest has put into the session stays, and so do the values of a user who logs in again. Of
// another user's session all values and flashes are cleared, also what this request has set before,
// unless Options.KeepValuesAtLogin is set; what it sets afterwards is the new user's.
//
// ErrSessionClosed on a sealed Session, a snapshot included. It needs a response that can still set
// a cookie: ErrHeadersSent, and ErrNoCookies on a connection (see Conn.LoginTicket). ErrUserID for
// a user ID that isn't 1 to 255 bytes of UTF-8 without NUL. ErrTokenRotated when the request came
// with a token that has been replaced, unless a login of the same user from the same browser has
// replaced it within Options.RotateGrace: the answer to that login may have been lost, so this one
// succeeds as well, also when both are under way at once. If the request has ended by the time of
// the commit, the commit fails and stores nothing.
func (s *Session) Login(userID string) error {
	if err := s.unsealed(); err != nil {
		return err
	}
	if err := checkUserID(userID); err != nil {
		return err
	}
	return s.replaceToken(&gateway.Login{UserID: userID})
}

// Rotate gives the session a new token and nothing else: connections stay. The previous token works
// until the new one is first presented, Options.RotateGrace at most. The errors are those of Login.
func (s *Session) Rotate() error { return s.replaceToken(nil) }

func (s *Session) replaceToken(login *gateway.Login) error {
	if err := s.unsealed(); err != nil {
		return err
	}
	if err := s.canSetToken(); err != nil {
		return err
	}
	if rq := s.from.request; login != nil {
		login.Addr, login.UserAgent, login.KeepValues = rq.addr(), rq.userAgent(), s.b.opts.KeepValuesAtLogin
	}
	return s.try(func() error {
		if err := s.ended(); err != nil {
			return err
		}
		return s.proof.Replace(login)
	})
}

// canSetToken returns the error of a Session whose client can't get a new token.
func (s *Session) canSetToken() error {
	switch rq := s.from.request; {
	case rq == nil || rq.creds.Presented().Carrier == credentials.ByTicket:
		return ErrNoCookies
	case rq.headersSent():
		return ErrHeadersSent
	}
	return nil
}

// canReplaceToken returns the error with which the token can't be replaced.
func (s *Session) canReplaceToken() error {
	if err := s.canSetToken(); err != nil {
		return err
	}
	return s.try(func() error {
		if err := s.ended(); err != nil {
			return err
		}
		return s.proof.IsCurrent()
	})
}

// Logout is Destroy, as its user's own wish.
func (s *Session) Logout() { s.end("Logout", ReasonLogout) }

// Destroy ends the session, everywhere, at the commit, also when the function that called it then
// fails. Its connections are closed, its values are lost; whoever still works on it gets
// ErrSessionGone. Over HTTP the cookie is removed, and a later use of the session in the same
// request begins a new one.
func (s *Session) Destroy() { s.end("Destroy", ReasonDestroyed) }

func (s *Session) end(method string, reason Reason) {
	s.change(method, func() { s.ending = reason })
	if h := s.holder(); h != nil { // there is no commit that would come soon
		h.saver.Soon()
	}
}

// LoggedIn returns when the session's user last logged in, on whatever node; the zero time for
// never. It is safe for concurrent use.
func (s *Session) LoggedIn() time.Time {
	s.lock()
	defer s.unlock()
	return s.draft.LoggedIn()
}

// RequireAuthAge returns nil when the last login is at most d ago, and so is good enough for
// something sensitive (ASVS 7.5.1–3). Otherwise ErrAuthAge: the user has to log in once more, with
// Login. ErrSessionGone when the session has ended. It works over HTTP and over a connection.
//
// A login that lies further in the future than d is none: a clock was set back.
func (s *Session) RequireAuthAge(d time.Duration) error {
	s.lock()
	defer s.unlock()
	if err := s.ended(); err != nil {
		return err
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

// RequireAuthAge returns next behind Session.RequireAuthAge: a request whose session has no login,
// or one that is longer ago than d, is answered with 401, another error with its HTTPStatus. It
// works with or without Handler around it.
//
// There is no WWW-Authenticate in the answer. The challenge for this,
// insufficient_user_authentication (RFC 9470), belongs to the schemes of OAuth: it sends a client
// to its authorization server for another access token, and here there is neither. What asks for
// the login is the application's page.
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

// maxUserID is the maximum length of a user ID in bytes.
const maxUserID = 255

func checkUserID(id string) error {
	if id == "" || len(id) > maxUserID || !utf8.ValidString(id) || strings.IndexByte(id, 0) >= 0 {
		return fmt.Errorf("%w: it is 1 to %d bytes of UTF-8 without NUL", ErrUserID, maxUserID)
	}
	return nil
}

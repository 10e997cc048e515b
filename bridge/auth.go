package bridge

import (
	"fmt"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
)

// Login makes the session that of a user, and gives it a new token. From the commit on the old
// token opens nothing, and connections that were opened with it are cut off until they reconnect
// with the new one (ASVS 7.2.4).
//
// The values of a guest stay, and so do those of a user who logs in again. Values and flashes of
// another user are cleared, with those that this request has set before, unless
// Options.KeepValuesAtLogin is set. Values that the request sets afterwards belong to the new user.
//
// ErrSessionClosed on a sealed Session or a snapshot. ErrHeadersSent when the response can't set a
// cookie any more, and ErrNoCookies on a connection (see Conn.LoginTicket). ErrUserID for a user ID
// that isn't 1 to 255 bytes of UTF-8 without NUL. ErrTokenRotated when the request's token has been
// replaced, unless a login of the same user from the same browser has replaced it within
// Options.RotateGrace: the response to that login may have been lost, so this one succeeds as well,
// also if both run at the same time. If the request has ended before the commit, the commit fails
// and stores nothing.
func (s *Session) Login(userID string) error { return s.replaceToken(&gateway.Login{UserID: userID}) }

// Rotate gives the session a new token and nothing else: connections stay. The previous token works
// until the new one is first presented, Options.RotateGrace at most. The errors are those of Login.
func (s *Session) Rotate() error { return s.replaceToken(nil) }

func (s *Session) replaceToken(login *gateway.Login) error {
	if err := s.unsealed(); err != nil {
		return err
	}
	if login != nil {
		if err := logins.CheckUserID(login.UserID); err != nil {
			return err
		}
	}
	return s.withToken(func() error {
		if rq := s.from.request; login != nil {
			login.Addr, login.UserAgent, login.KeepValues = rq.recordedAddr(), rq.userAgent(), s.b.opts.KeepValuesAtLogin
		}
		return s.proof.Replace(login)
	})
}

// canReplaceToken returns the error that Rotate would return.
func (s *Session) canReplaceToken() error {
	return s.withToken(func() error { return s.proof.IsCurrent() })
}

// withToken calls do under the lock, if the session goes on and its client can get a new token.
func (s *Session) withToken(do func() error) error {
	switch rq := s.from.request; {
	case s.from.via == ViaAPI:
		return fmt.Errorf("%w, or with LoginCredentials and RotateCredentials", ErrNoCookies)
	case rq == nil || rq.creds.Presented().Carrier == credentials.ByTicket:
		return ErrNoCookies
	case rq.headersSent():
		return ErrHeadersSent
	}
	return s.try(func() error {
		if err := s.ended(); err != nil {
			return err
		}
		return do()
	})
}

// Logout is Destroy at the user's own request.
func (s *Session) Logout() { s.end("Logout", ReasonLogout) }

// Destroy ends the session on all nodes, at the commit. The end takes effect also if the function
// that called Destroy then fails. The session's connections are closed, its values are lost, and
// later commits of others fail with ErrSessionGone. Over HTTP the cookie is removed, and the next
// use of the session in the same request begins a new one.
func (s *Session) Destroy() { s.end("Destroy", ReasonDestroyed) }

func (s *Session) end(method string, reason Reason) {
	s.change(method, func() { s.ending = reason })
	if h := s.holder(); h != nil { // the commit of a PerConnection may be far away
		h.saver.Soon()
	}
}

// LoggedIn returns when the session's user last logged in, on any node; the zero time for never,
// and for an imported session whose Import doesn't say it.
func (s *Session) LoggedIn() time.Time {
	s.lock()
	defer s.unlock()
	return s.draft.LoggedIn()
}

// RequireAuthAge returns nil if the last login is at most d ago, as a sensitive action may require
// (ASVS 7.5.1–3). Otherwise it returns ErrAuthAge: the user has to log in again, with Login.
// ErrSessionGone when the session has ended. It works over HTTP and over a connection.
//
// A login more than d in the future, which a clock that was set back can cause, doesn't count.
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

// RequireAuthAge returns a handler that calls Session.RequireAuthAge before next. A request without
// a login, or with one longer ago than d, is answered with 401, another error with its HTTPStatus.
// It works with or without Handler around it.
//
// The answer has no WWW-Authenticate: the challenge insufficient_user_authentication (RFC 9470)
// would send a client to an OAuth server for another access token. The application's page asks for
// the login.
func (b *Bridge) RequireAuthAge(d time.Duration, next http.Handler) http.Handler {
	return b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.RequireAuthAge(d)
		}
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

package bridge

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// maxUserID is how long a user ID may be, in bytes.
const maxUserID = 255

// Login makes the session that of a user, with a new token: the old one opens nothing from the commit on, and connections
// that were opened with it are cut off until they come back with the new one (ASVS 7.2.4). The session's values stay; Clear
// them where they are not to pass from one user to another.
//
// It needs a response that can still set a cookie: ErrHeadersSent, and ErrNoCookies on a connection. ErrTokenRotated when the request came
// with a token that has been replaced. ErrUserID for a user ID that isn't 1 to 255 bytes of UTF-8 without NUL.
func (s *Session) Login(userID string) error {
	if userID == "" || len(userID) > maxUserID || !utf8.ValidString(userID) || strings.IndexByte(userID, 0) >= 0 {
		return fmt.Errorf("%w: it is 1 to %d bytes of UTF-8 without NUL", ErrUserID, maxUserID)
	}
	return s.replaceToken(&gateway.Login{UserID: userID})
}

// Rotate gives the session a new token and nothing else: connections stay. The previous token works until the new one is
// first presented, Options.RotateGrace at most. The errors are those of Login.
func (s *Session) Rotate() error { return s.replaceToken(nil) }

func (s *Session) replaceToken(login *gateway.Login) error {
	rq := s.from.request
	if rq == nil {
		return ErrNoCookies
	}
	if rq.headersSent() {
		return ErrHeadersSent
	}
	if login != nil {
		login.Addr, login.UserAgent = rq.addr(), rq.userAgent()
	}
	return s.try(func() error {
		switch {
		case s.gone || s.ending != "":
			return ErrSessionGone
		case s.stale:
			return ErrTokenRotated
		}
		if s.draft.Base().Revision != 0 && !s.draft.ReplacesToken() {
			s.nextToken = newToken()
		}
		s.draft.ReplaceToken(s.nextToken.hash(), s.proved, login)
		return nil
	})
}

// Logout is Destroy, as its user's own wish.
func (s *Session) Logout() { s.end("Logout", ReasonLogout) }

// Destroy ends the session, everywhere, at the commit, also when the function that called it then fails. Its connections
// are closed, its values are lost; whoever still works on it gets ErrSessionGone. Over HTTP the cookie is removed, and a later use of
// the session in the same request begins a new one.
func (s *Session) Destroy() { s.end("Destroy", ReasonDestroyed) }

func (s *Session) end(method string, reason Reason) {
	s.change(method, func() { s.ending = reason })
	if h := s.holder(); h != nil { // there is no commit that would come soon
		h.saveSoon()
	}
}

package bridge

import (
	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Login makes the session that of a user, with a new token: the old one opens nothing from the commit on, and connections
// that were opened with it are cut off until they come back with the new one (ASVS 7.2.4).
//
// What a guest has put into the session stays, and so do the values of a user who logs in again. Of
// another user's session all values and flashes are cleared, also what this request has set before,
// unless Options.KeepValuesAtLogin is set; what it sets afterwards is the new user's.
//
// ErrSessionClosed on a sealed Session, a snapshot included. It needs a response that can still set
// a cookie: ErrHeadersSent, and ErrNoCookies on a connection (see Conn.LoginTicket). ErrUserID for a
// user ID that isn't 1 to 255 bytes of UTF-8 without NUL. ErrTokenRotated when the request came with
// a token that has been replaced, unless a login of the same user from the same browser has replaced
// it within Options.RotateGrace: the answer to that login may have been lost, so this one succeeds
// as well, also when both are under way at once. If the request has ended by the time of the commit, the commit fails and stores nothing.
func (s *Session) Login(userID string) error {
	if err := s.unsealed(); err != nil {
		return err
	}
	if err := checkUserID(userID); err != nil {
		return err
	}
	return s.replaceToken(&gateway.Login{UserID: userID})
}

// Rotate gives the session a new token and nothing else: connections stay. The previous token works until the new one is
// first presented, Options.RotateGrace at most. The errors are those of Login.
func (s *Session) Rotate() error { return s.replaceToken(nil) }

func (s *Session) replaceToken(login *gateway.Login) error {
	rq := s.from.request
	if err := s.unsealed(); err != nil {
		return err
	}
	if err := s.canKeepToken(); err != nil {
		return err
	}
	if login != nil {
		login.Addr, login.UserAgent, login.KeepValues = rq.addr(), rq.userAgent(), s.b.opts.KeepValuesAtLogin
	}
	return s.try(func() error {
		if err := s.takeOver(login); err != nil {
			return err
		}
		if err := s.mayReplaceToken(); err != nil {
			return err
		}
		base := s.draft.Base()
		switch {
		case base.Revision == 0: // it has a token that nobody has seen
		case login != nil:
			s.nextToken = s.b.successors.Of(s.id, s.token, login.UserID, base.TokenHash)
		case !s.draft.ReplacesToken():
			s.nextToken = credentials.NewToken()
		}
		s.draft.ReplaceToken(s.nextToken.Hash(), s.proved, login)
		return nil
	})
}

// canKeepToken says why whoever is at the other end can't be told of a new token.
func (s *Session) canKeepToken() error {
	switch rq := s.from.request; {
	case rq == nil || rq.presented.Carrier == credentials.ByTicket:
		return ErrNoCookies
	case rq.headersSent():
		return ErrHeadersSent
	}
	return nil
}

// mayReplaceToken needs the lock.
func (s *Session) mayReplaceToken() error {
	switch {
	case s.gone || s.ending != "":
		return ErrSessionGone
	case s.stale:
		return ErrTokenRotated
	}
	return nil
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

package bridge

import (
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// A login whose answer the browser has not received, because its user clicked twice or the
// connection broke, leaves the browser with a token that opens nothing. The browser's user is not
// locked out: the same user may log in again with it, for as long as RotateGrace, and has the
// session.
//
// Until then the Session of such a request is empty, and whatever the request does ends in
// ErrTokenRotated: the old token still opens nothing.

// superseded returns the Session of a request whose token a login has replaced, nil where nobody
// could log in with it: the request must come from the session's own browser and be able to set
// a cookie. The check of the token has returned ErrTokenRotated for rec.
func (rq *request) superseded(rec *store.Record, cookies credentials.Candidate) *Session {
	i := slices.IndexFunc(cookies, func(c credentials.Session) bool { return c.Token.Hash() == rec.PrevTokenHash })
	if i < 0 || !rq.mayTakeOver(rec) {
		return nil
	}
	rq.fit(rec)
	s, err := rq.b.newSession(*rec, &origin{via: ViaHTTP, request: rq})
	if err != nil {
		return nil
	}
	s.token, s.replaced = cookies[i].Token, rec
	if s.hide() != nil {
		return nil
	}
	return s
}

// mayTakeOver reports whether the request comes from the session's own browser and can set a cookie.
func (rq *request) mayTakeOver(rec *store.Record) bool {
	return !rq.headersSent() && (rq.presented.Carrier == credentials.ByToken || rq.fits(rec))
}

// supersede makes s, whose token a login has replaced since s was opened, what superseded returns
// for such a token; ErrTokenRotated where that is nil. It needs the lock.
func (s *Session) supersede(rec store.Record) error {
	if s.tokenState == nil || rec.LoginGeneration != rec.TokenGeneration || s.token.Hash() != rec.PrevTokenHash {
		return ErrTokenRotated
	}
	if _, logsIn := s.draft.LogsIn(); logsIn || !s.from.request.mayTakeOver(&rec) {
		return ErrTokenRotated
	}
	s.replaced = &rec
	return s.hide()
}

// hide puts s on what the holder of the replaced token may see of the session: nothing. It needs
// the lock.
func (s *Session) hide() error {
	blank := *s.replaced
	blank.Data, blank.UserID, blank.LoggedIn, blank.Addr, blank.UserAgent = []byte("{}"), "", time.Time{}, "", ""
	s.shut.Store(true)
	s.proved, s.stale = blank.TokenGeneration-1, true
	s.draft.Prove(s.proved)
	return s.draft.Rebase(blank)
}

// locked reports whether s is the Session of a replaced token, and nobody has logged in with it.
// It needs the lock.
func (s *Session) locked() bool {
	if s.tokenState == nil || s.replaced == nil {
		return false
	}
	_, logsIn := s.draft.LogsIn()
	return !logsIn
}

// takeOver opens the session to the user who logs in with a replaced token, if it is that user's.
// It needs the lock.
func (s *Session) takeOver(login *gateway.Login) error {
	if !s.locked() || login == nil || login.UserID != s.replaced.UserID {
		return nil // mayReplaceToken has an answer
	}
	if err := s.draft.Rebase(*s.replaced); err != nil {
		return err
	}
	s.shut.Store(false)
	s.proved, s.stale = s.replaced.TokenGeneration, false
	s.draft.Prove(s.proved)
	return nil
}

// isLocked is locked for those who don't have the lock.
func (s *Session) isLocked() bool {
	s.lock()
	defer s.unlock()
	return s.locked()
}

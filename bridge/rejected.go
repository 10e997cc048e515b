package bridge

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// CredentialRejected tells of a session cookie, a token or a ticket that opened nothing: the request went on as one without a session, or its handshake was refused. It holds
// no token and no value. Stats.Refused counts them all.
//
// Anybody can cause these, as often as they like. They take a quarter of a subscriber's queue at most: those beyond are dropped, which Stats.RejectionsDropped counts
// and nothing else does. So a flood of them costs no other event its place.
type CredentialRejected struct {
	Credential Credential
	Reason     RejectReason
	// ClientID is what a valid client cookie of the request says, "" without one: a claim, as the request has proved nothing.
	ClientID string
	// SessionID is the session that the credential names, "" where its signature doesn't hold; with a ticket of LoginTicket it is the request's own. UserID is who is logged
	// in to it, "" for nobody, and where there is no such session.
	SessionID, UserID string
	Addr, UserAgent   string // of the request
	Via               Via
}

func (CredentialRejected) event() {}

// Credential is a kind of what opens a session.
type Credential string

// The kinds.
const (
	CredentialCookie Credential = "cookie" // the session cookie
	CredentialToken  Credential = "token"  // of a client without cookies: Options.TokenFrom
	CredentialTicket Credential = "ticket" // Bridge.Ticket, Conn.LoginTicket
)

// RejectReason says why a credential opened nothing.
type RejectReason string

// The reasons.
const (
	RejectedSignature RejectReason = "signature" // it isn't signed with any of Options.Keys: made up, damaged, or of other keys
	RejectedSession   RejectReason = "session"   // there is no such session any more
	RejectedToken     RejectReason = "token"     // the session has another token by now: the cookie is an old one, or a copy of one
	RejectedClient    RejectReason = "client"    // it came with another client's cookie, or none, and Options.StrictBinding is set
	RejectedTicket    RejectReason = "ticket"    // it is unknown, used, too old, of before the last login, or of another client
)

// OnCredentialRejected calls fn after each credential that opened nothing.
func (b *Bridge) OnCredentialRejected(fn func(CredentialRejected)) (off func()) {
	return on(b.events, fn)
}

// rejection is of the credential for a session, with the owner that its record names, that was refused with err.
func rejection(by credentials.Carrier, sessionID, owner string, err error) CredentialRejected {
	cr := CredentialRejected{Credential: CredentialCookie, Reason: RejectedToken, SessionID: sessionID, UserID: owner}
	if by == credentials.ByToken {
		cr.Credential = CredentialToken
	}
	switch {
	case errors.Is(err, ErrSessionMissing):
		cr.Reason = RejectedSession
	case errors.Is(err, errOtherClient):
		cr.Reason = RejectedClient
	}
	return cr
}

// refused counts a credential that opens nothing, and tells of it.
func (rq *request) refused(cr CredentialRejected) {
	b := rq.b
	b.stats.refused.Add(1)
	if !b.events.Active() {
		return
	}
	rq.mu.Lock()
	if !rq.answer.ClientIsNew() {
		cr.ClientID = rq.answer.ClientID()
	}
	rq.mu.Unlock()
	cr.Addr, cr.UserAgent, cr.Via = rq.addr(), rq.userAgent(), ViaHTTP
	b.events.Emit(cr)
}

// refusedForged is refused for a session cookie or a token that no key has signed.
func (rq *request) refusedForged(ctx context.Context) {
	cr, line := CredentialRejected{Credential: CredentialCookie, Reason: RejectedSignature}, "session cookie refused: its signature doesn't hold"
	if rq.presented.Carrier == credentials.ByToken {
		cr.Credential, line = CredentialToken, "session token refused: its signature doesn't hold"
	}
	rq.refused(cr)
	rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, line)
}

// noteRejected notes why a session that the request presents was not opened. The first to be tried
// is the one that is told of, if none opens. The request is opening its session.
func (rq *request) noteRejected(cr CredentialRejected) {
	if rq.rejected.Credential == "" {
		rq.rejected = cr
	}
}

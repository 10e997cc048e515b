package bridge

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// CredentialRejected reports a session cookie, a token or a ticket that opened nothing: the request
// continued without a session, or its handshake was refused. It contains no token and no value.
// Stats.Refused counts them all.
//
// Any client can cause these events at any rate. They take at most a quarter of a subscriber's
// queue: further ones are dropped and counted in Stats.RejectionsDropped only. So a flood of them
// displaces no other event.
type CredentialRejected struct {
	Credential Credential
	Reason     RejectReason
	// ClientID is that of a valid client cookie of the request, "" without one. The request has
	// proved nothing about it.
	ClientID string
	// SessionID is the session that the credential names, "" if its signature is invalid; with a
	// ticket of LoginTicket it is the request's own session. UserID is the user who is logged in to
	// that session, "" if there is none or no such session.
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
	RejectedSignature RejectReason = "signature" // signed with none of Options.Keys: forged, damaged, or of other keys
	RejectedSession   RejectReason = "session"   // the session no longer exists
	RejectedToken     RejectReason = "token"     // the session has another token: the cookie, or its copy, is outdated
	RejectedClient    RejectReason = "client"    // Options.StrictBinding: not with its client's cookie
	RejectedTicket    RejectReason = "ticket"    // unknown, used, expired, outdated by a login, or not its own
)

// OnCredentialRejected calls fn after each credential that opened nothing.
func (b *Bridge) OnCredentialRejected(fn func(CredentialRejected)) (off func()) {
	return on(b.events, fn)
}

// rejection returns the event for a session credential that was refused with err. owner is the
// user in the session's record.
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

// refused counts and reports a credential that opens nothing.
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
	log := rq.b.opts.Logger
	if rq.presented.Carrier == credentials.ByToken {
		rq.refused(CredentialRejected{Credential: CredentialToken, Reason: RejectedSignature})
		log.LogAttrs(ctx, slog.LevelDebug, "session token refused: its signature doesn't hold")
		return
	}
	rq.refused(CredentialRejected{Credential: CredentialCookie, Reason: RejectedSignature})
	log.LogAttrs(ctx, slog.LevelDebug, "session cookie refused: its signature doesn't hold")
}

// noteRejected records why a session that the request presents was not opened. If none opens, the
// first one that was tried is reported. The request holds its opening lock.
func (rq *request) noteRejected(cr CredentialRejected) {
	if rq.rejected.Credential == "" {
		rq.rejected = cr
	}
}

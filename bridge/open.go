package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/site"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
	"github.com/sessionbridge/sessionbridge/store"
)

// open returns the request's session: the one that its credentials open, or a new one. It returns
// ErrTokenRotated if a login has replaced the token.
func (rq *request) open(ctx context.Context) (*Session, error) {
	s, err := rq.openOrLogIn(ctx)
	if err == nil && s.isLocked() {
		return nil, ErrTokenRotated
	}
	return s, err
}

// openOrLogIn is open, but it returns the Session of a replaced token, in which the handler may log
// the user in again: see opening.Proof.Locked.
func (rq *request) openOrLogIn(ctx context.Context) (*Session, error) {
	s, _, err := rq.openOnce(ctx)
	return s, err
}

// openOnce is openOrLogIn. loaded reports whether this call has loaded the session.
func (rq *request) openOnce(ctx context.Context) (s *Session, loaded bool, err error) {
	if err := rq.lockOpening(ctx); err != nil {
		return nil, false, err
	}
	defer rq.opening.Unlock()
	byTicket := rq.creds.Presented().Carrier == credentials.ByTicket
	s = rq.opened()
	switch {
	case s != nil:
		if s, err = rq.afterDestroy(ctx, s); s != nil || err != nil {
			return s, false, err
		}
	case byTicket:
		s, err = rq.openTicket(ctx)
	default:
		s, err = rq.openPresented(ctx)
		if s == nil && err == nil {
			s, err = rq.openImported(ctx)
			rq.noteImported(s)
		}
	}
	loaded = s != nil
	if err == nil && s == nil {
		if byTicket {
			return nil, false, ErrSessionGone // the client could not get the token of a new one
		}
		s, err = rq.newSession()
	}
	if err != nil {
		return nil, false, err
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.r == nil { // the handler has returned meanwhile: no commit would follow
		return nil, false, ErrSessionClosed
	}
	rq.session = s
	return s, loaded, nil
}

// lockOpening acquires the lock of the goroutine that opens the session.
func (rq *request) lockOpening(ctx context.Context) error {
	rq.mu.Lock()
	closed := rq.r == nil
	rq.asked = true
	rq.mu.Unlock()
	if closed {
		return ErrSessionClosed
	}
	return rq.opening.LockOrWait(ctx)
}

// afterDestroy returns s, or nil if the request has destroyed it: then it opens a new session.
func (rq *request) afterDestroy(ctx context.Context, s *Session) (*Session, error) {
	s.lock()
	defer s.unlock()
	if s.ending != "" && s.running == nil {
		if err := s.destroy(ctx); err != nil {
			return nil, err
		}
	}
	if s.overHere() {
		return nil, nil
	}
	return s, nil
}

// openPresented opens the session that the request's cookies or its token name. It returns nil if
// they open nothing.
func (rq *request) openPresented(ctx context.Context) (*Session, error) {
	rq.mu.Lock()
	coalesce := rq.handshake
	rq.mu.Unlock()
	if len(rq.creds.Presented().Sessions) == 0 {
		rq.noteMissing(nil)
		return nil, nil
	}
	all := &openedSession{}
	all.opened.Record = all.state.draft.Base()
	o, err := rq.creds.Open(ctx, coalesce, &all.opened)
	switch {
	case err != nil:
		return nil, err
	case o.Standing == opening.None:
		rq.noteMissing(o)
		rq.reportRejection(o.Rejection)
		return nil, nil
	case o.Standing == opening.Replaced && rq.headersSent(): // not even a login could go on: no cookie can be set
		return nil, ErrTokenRotated
	}
	return rq.sessionIn(all, o)
}

// openTicket opens the session that the ticket of a handshake names. ErrTicket, ErrOrigin.
func (rq *request) openTicket(ctx context.Context) (*Session, error) {
	b := rq.b
	rq.mu.Lock()
	r, handshake := rq.r, rq.handshake
	rq.mu.Unlock()
	switch {
	case r == nil:
		return nil, ErrSessionClosed
	case !handshake || !site.Upgrades(r): // an Upgrade header alone is not enough: any request can have one
		return nil, ErrTicket
	}
	if err := b.opts.site.CheckHandshake(r, "handshake from another origin refused"); err != nil {
		return nil, err
	}
	ticket, err := b.tickets.Redeem(ctx, rq.creds.Presented().Text, tickets.Handshake,
		func(*tickets.Ticket) bool { return true })
	if err != nil {
		rq.reportTicket(err, opening.Rejection{})
		return nil, err
	}
	o, err := rq.creds.OpenTicket(ctx, opening.Ticket{
		SessionID: ticket.SessionID, ClientID: ticket.ClientID, Generation: ticket.Generation, Device: ticket.Device,
	})
	switch {
	case err != nil:
		return nil, err
	case o.Standing == opening.None:
		rq.reportTicket(ErrTicket, o.Rejection)
		return nil, ErrTicket
	}
	rq.redeemed(ticket, o.Record.UserID)
	return rq.sessionOf(o)
}

// redeemed writes the audit line of a ticket that was redeemed. user is logged in to its session.
func (rq *request) redeemed(t *tickets.Ticket, user string) {
	rq.b.report.Audit(rq.Context, slog.LevelInfo, "ticket redeemed", reporting.Subject{
		SessionID: t.SessionID, ClientID: t.ClientID, UserID: cmp.Or(t.UserID, user),
		Addr: rq.recordedAddr(), Via: string(ViaHTTP),
	}, slog.String("ticket", ticketKind(t)))
}

// ticketKind names the purpose of a ticket in audit lines.
func ticketKind(t *tickets.Ticket) string {
	switch {
	case t.Kind == tickets.Handshake:
		return "handshake"
	case t.UserID == "":
		return "rotate"
	}
	return "login"
}

// noteMissing notes why the credentials open no session.
func (rq *request) noteMissing(o *opening.Opened) {
	reason := rq.reasonOf(o)
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.missing = reason
}

// reasonOf returns why the credentials open no session; "" if they do. o is the result of opening
// it, nil for no credential.
func (rq *request) reasonOf(o *opening.Opened) MissingReason {
	switch {
	case o == nil && rq.forged:
		return MissingRefused
	case o == nil:
		return MissingNoCredential
	}
	return rq.b.reasonOf(o)
}

// missingReason is Bridge.MissingReason.
func (rq *request) missingReason(ctx context.Context) MissingReason {
	if rq.lockOpening(ctx) != nil { // the response depends on the session, too
		return MissingUnknown
	}
	defer rq.opening.Unlock()
	rq.mu.Lock()
	noted, imported := rq.missing, rq.imported
	rq.mu.Unlock()
	if noted != "" || imported {
		return noted
	}
	if rq.creds.Presented().Carrier == credentials.ByTicket {
		if rq.opened() != nil {
			return ""
		}
		return MissingRefused
	}
	o, err := rq.peekPresented(ctx)
	switch {
	case errors.Is(err, ErrTokenRotated):
		return MissingReplaced
	case err != nil:
		return MissingUnknown
	}
	return rq.reasonOf(o)
}

// noted returns what noteMissing has noted.
func (rq *request) noted() MissingReason {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.missing
}

// peek is Bridge.Peek.
func (rq *request) peek(ctx context.Context) (*Session, error) {
	if err := rq.lockOpening(ctx); err != nil { // as in missingReason
		return nil, err
	}
	defer rq.opening.Unlock()
	if s := rq.opened(); s != nil && !s.IsNew() && !s.isLocked() {
		rec, err := rq.b.gateway.Load(ctx, s.id)
		if err != nil {
			return nil, err
		}
		return rq.b.newSnapshot(rec, ViaHTTP)
	}
	if rq.creds.Presented().Carrier == credentials.ByTicket {
		return nil, fmt.Errorf("%w: it opens a connection only", ErrTicket)
	}
	o, err := rq.peekPresented(ctx)
	switch {
	case err != nil:
		return nil, err
	case o == nil:
		return nil, newMissing(rq.reasonOf(o))
	case o.Standing == opening.None:
		if len(rq.creds.Presented().Sessions) > 0 {
			rq.reportRejection(o.Rejection)
		}
		return nil, newMissing(rq.reasonOf(o))
	}
	return rq.b.newSnapshot(*o.Record, ViaHTTP)
}

// sessionOf returns the Session of an opened record.
func (rq *request) sessionOf(o *opening.Opened) (*Session, error) {
	return rq.sessionIn(&openedSession{}, o)
}

func (rq *request) sessionIn(all *openedSession, o *opening.Opened) (*Session, error) {
	s, err := rq.makeSession(all, o.Record, &o.Room)
	if err == nil {
		err = rq.b.opener.Prove(s.proof, o, &s.draft)
	}
	return s, err
}

// newSession returns a session that is not stored yet, with a new ID and a new token.
func (rq *request) newSession() (*Session, error) {
	rq.mu.Lock()
	rq.created = true
	rq.mu.Unlock()
	rec := rq.newRecord(uuid.NewString())
	token := opening.Issue(&rec)
	return rq.issue(rec, token)
}

// newRecord returns the record of a session that begins with the request.
func (rq *request) newRecord(id string) store.Record {
	clientID, _ := rq.creds.Client()
	return rq.b.newRecord(id, clientID, rq.recordedAddr(), rq.userAgent())
}

// issue returns the Session of a record that is not stored yet, whose token the client is to get.
func (rq *request) issue(rec store.Record, token credentials.Token) (*Session, error) {
	all := &openedSession{}
	s, err := rq.makeSession(all, &rec, &all.opened.Room)
	if err == nil {
		rq.b.opener.Issued(s.proof, token, &s.draft)
	}
	return s, err
}

// openedSession is a request's Session and what belongs to it, in one allocation.
type openedSession struct {
	session Session
	state   sessionState
	from    origin
	proof   opening.Proof
	opened  opening.Opened
}

// makeSession returns the Session of the record, with a Proof that is zero.
func (rq *request) makeSession(all *openedSession, rec *store.Record, room *gateway.Room) (*Session, error) {
	all.session.sessionState = &all.state
	all.state.proof = &all.proof
	if base := all.state.draft.Base(); base != rec {
		*base = *rec
	}
	all.state.draft.Use(room)
	all.from.via, all.from.request = ViaHTTP, rq
	return &all.session, all.session.init(rq.b, &all.from)
}

// peekPresented is opening.Exchange.Peek, also for a session that has been imported. It imports
// none.
func (rq *request) peekPresented(ctx context.Context) (*opening.Opened, error) {
	o, err := rq.creds.Peek(ctx)
	if err != nil || o != nil && o.Standing != opening.None {
		return o, err
	}
	in, as := rq.presentedImport()
	if in == nil {
		return o, nil
	}
	if known, err := rq.b.imports.Known(ctx, as.ID); !known {
		return o, err
	}
	imported, err := rq.creds.PeekImported(ctx, as)
	if err != nil || o == nil || imported.Standing != opening.None {
		return imported, err
	}
	return o, nil
}

// reportRejection counts, emits and logs that the request's session credential opens nothing.
func (rq *request) reportRejection(r opening.Rejection) {
	rq.reject(CredentialRejected{Credential: rq.credential()}, r)
}

// reportForged is reportRejection for a cookie or a token with an invalid signature.
func (rq *request) reportForged() {
	rq.reject(CredentialRejected{Credential: rq.credential(), Reason: RejectedSignature}, opening.Rejection{})
}

// reportTicket is reportRejection for a ticket, if err is ErrTicket.
func (rq *request) reportTicket(err error, r opening.Rejection) {
	if errors.Is(err, ErrTicket) {
		rq.reject(CredentialRejected{Credential: CredentialTicket, Reason: RejectedTicket}, r)
	}
}

// credential returns the kind of a session credential that isn't a ticket.
func (rq *request) credential() Credential {
	if rq.creds.Presented().Carrier == credentials.ByToken {
		return CredentialToken
	}
	return CredentialCookie
}

// reject completes, counts and emits a CredentialRejected.
func (rq *request) reject(cr CredentialRejected, r opening.Rejection) {
	if id, isNew := rq.creds.Client(); !isNew {
		cr.ClientID = id
	}
	cr.Addr, cr.UserAgent, cr.Via = rq.recordedAddr(), rq.userAgent(), ViaHTTP
	rq.b.rejected(rq.Context, cr, r) // not rq: a slog.Handler may call ClientIDFrom, which sets a cookie
}

// mismatched counts and logs a session whose request has another client's cookie, or none (G10).
func (b *Bridge) mismatched(ctx context.Context, rec *store.Record, clientID string) {
	b.stats.mismatches.Add(1)
	about := reporting.Subject{SessionID: rec.ID, ClientID: clientID, UserID: rec.UserID}
	if rq, err := b.requestOf(ctx); err == nil { // a slog.Handler may call ClientIDFrom, which sets a cookie
		ctx, about.Addr, about.Via = rq.Context, rq.recordedAddr(), string(ViaHTTP)
	}
	b.report.Audit(ctx, slog.LevelWarn, "client mismatch", about, slog.Bool("refused", b.opts.StrictBinding))
}

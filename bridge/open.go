package bridge

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/opening"
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
	lock, err := rq.lockOpening(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	byTicket := rq.creds.Presented().Carrier == credentials.ByTicket
	s := rq.opened()
	switch {
	case s != nil:
		if s, err = rq.afterDestroy(ctx, s); s != nil || err != nil {
			return s, err
		}
	case byTicket:
		s, err = rq.openTicket(ctx)
	default:
		s, err = rq.openPresented(ctx)
	}
	if err == nil && s == nil {
		if byTicket {
			return nil, ErrSessionGone // the client could not get the token of a new one
		}
		s, err = rq.newSession()
	}
	if err != nil {
		return nil, err
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.r == nil { // the handler has returned meanwhile: no commit would follow
		return nil, ErrSessionClosed
	}
	rq.session = s
	return s, nil
}

// lockOpening acquires the lock of the goroutine that opens the session.
func (rq *request) lockOpening(ctx context.Context) (ctxlock.Lock, error) {
	rq.mu.Lock()
	closed := rq.r == nil
	if rq.opening == nil {
		rq.opening = ctxlock.New()
	}
	lock := rq.opening
	rq.mu.Unlock()
	if closed {
		return nil, ErrSessionClosed
	}
	return lock, lock.LockOrWait(ctx)
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
	o, err := rq.creds.Open(ctx, coalesce)
	switch {
	case o == nil: // no credential, or an error
		return nil, err
	case o.Standing == opening.None:
		rq.reportRejection(ctx, o.Rejection)
		return nil, nil
	case o.Standing == opening.Replaced && rq.headersSent(): // not even a login could go on: no cookie can be set
		return nil, ErrTokenRotated
	}
	return rq.sessionOf(o)
}

// sessionOf returns the Session of an opened record.
func (rq *request) sessionOf(o *opening.Opened) (*Session, error) {
	s, err := rq.b.newSession(o.Record, &origin{via: ViaHTTP, request: rq})
	if err == nil {
		s.proof, err = rq.b.opener.Prove(o, &s.draft)
	}
	return s, err
}

// newSession returns a session that is not stored yet, with a new ID and a new token.
func (rq *request) newSession() (*Session, error) {
	opts := rq.b.opts
	clientID, _ := rq.creds.Client()
	rq.mu.Lock()
	rq.created = true
	rq.mu.Unlock()
	rec := store.Record{
		ID:        uuid.NewString(),
		ClientID:  clientID,
		Addr:      rq.addr(),
		UserAgent: rq.userAgent(),
		Data:      []byte("{}"),
		Created:   gateway.Now(),
		Idle:      zeroIfOff(opts.IdleTimeout),
		Lifetime:  zeroIfOff(opts.Lifetime),
	}
	token := opening.Issue(&rec)
	s, err := rq.b.newSession(rec, &origin{via: ViaHTTP, request: rq})
	if err == nil {
		s.proof = rq.b.opener.Issued(token, &s.draft)
	}
	return s, err
}

// reportRejection counts, emits and logs that the request's session credential opens nothing.
func (rq *request) reportRejection(ctx context.Context, r opening.Rejection) {
	rq.reject(CredentialRejected{
		Credential: rq.credential(), Reason: rejectReasons[r.Reason], SessionID: r.SessionID, UserID: r.UserID,
	})
	rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "session cookie opens nothing: unknown session or stale token",
		rq.b.logSession(rq.creds.Presented().Sessions[0].ID))
}

// rejectReasons maps the reasons of package opening.
var rejectReasons = [...]RejectReason{
	opening.NoSession:     RejectedSession,
	opening.OtherToken:    RejectedToken,
	opening.ForeignClient: RejectedClient,
}

// reportForged is reportRejection for a cookie or a token with an invalid signature.
func (rq *request) reportForged(ctx context.Context) {
	kind := rq.credential()
	rq.reject(CredentialRejected{Credential: kind, Reason: RejectedSignature})
	message := "session cookie refused: its signature doesn't hold"
	if kind == CredentialToken {
		message = "session token refused: its signature doesn't hold"
	}
	rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, message) //nolint:sloglint // one of two constants
}

// reportTicket is reportRejection for a ticket, if err is ErrTicket.
func (rq *request) reportTicket(ctx context.Context, err error, r opening.Rejection) {
	if !errors.Is(err, ErrTicket) {
		return
	}
	rq.reject(CredentialRejected{
		Credential: CredentialTicket, Reason: RejectedTicket, SessionID: r.SessionID, UserID: r.UserID,
	})
	rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "ticket opens nothing")
}

// credential returns the kind of a session credential that isn't a ticket.
func (rq *request) credential() Credential {
	if rq.creds.Presented().Carrier == credentials.ByToken {
		return CredentialToken
	}
	return CredentialCookie
}

// reject completes, counts and emits a CredentialRejected.
func (rq *request) reject(cr CredentialRejected) {
	rq.b.stats.refused.Add(1)
	if !rq.b.events.Active() {
		return
	}
	if id, isNew := rq.creds.Client(); !isNew {
		cr.ClientID = id
	}
	cr.Addr, cr.UserAgent, cr.Via = rq.addr(), rq.userAgent(), ViaHTTP
	rq.b.events.Emit(cr)
}

// newOpener returns the Opener, which decides which credentials open which sessions.
func newOpener(b *Bridge) *opening.Opener {
	return opening.New(opening.Config{
		Gateway:    b.gateway,
		Codec:      credentials.NewCodec(b.opts.credentials()),
		Grace:      b.opts.grace(),
		Successors: credentials.NewSuccessors(b.opts.Keys),
		Strict:     b.opts.StrictBinding,
		Nodes:      b.cluster != nil,
		SessionOf:  b.clients.SessionOf,
		ClientOf:   b.clients.ClientOf,
		Overtakes:  logins.NewOvertakes().Counts,
		Attach:     b.attach,
		Missing:    func(ctx context.Context, id string) { b.scheduleRecheck(id, b.forget(ctx, id, nil)) },
		Mismatched: b.mismatched,
	})
}

// mismatched counts and logs a session whose request has another client's cookie, or none (G10).
func (b *Bridge) mismatched(ctx context.Context, rec *store.Record, clientID string) {
	b.stats.mismatches.Add(1)
	if rq, err := b.requestOf(ctx); err == nil { // a slog.Handler may call ClientIDFrom, which sets a cookie
		ctx = rq.Context
	}
	b.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "session came with another client's cookie, or none",
		b.logSession(rec.ID), b.logClient(clientID), slog.Bool("refused", b.opts.StrictBinding))
}

// attach maps the session to its client, and emits a SessionSet if it wasn't mapped here yet.
func (b *Bridge) attach(ctx context.Context, rec *store.Record) error {
	if b.clients.Refresh(rec.ClientID, rec.ID) {
		b.noticeLogin(ctx, rec)
		return nil
	}
	clientID, id := rec.ClientID, rec.ID
	needed := func() bool { return !b.clients.Refresh(clientID, id) } // unless another goroutine has mapped it
	return b.gateway.ReportIf(ctx, id, needed, func(now *store.Record) {
		if !b.mapClient(now, false) {
			return
		}
		if newest, _ := b.clients.SessionOf(now.ClientID); b.opts.Rebind == Follow && newest == now.ID {
			b.follow(now)
		}
		b.emitSet(now, SessionSet{IsInit: true, Via: ViaHTTP})
	})
}

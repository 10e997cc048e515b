package bridge

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/store"
)

// newOpener returns the rules by which credentials open sessions.
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
		Attach:     func(ctx context.Context, rec *store.Record) error { return b.attach(ctx, rec, ViaHTTP) },
		Missing:    func(ctx context.Context, id string) { b.scheduleRecheck(id, b.forget(ctx, id, nil)) },
		Mismatched: b.mismatched,
	})
}

// mismatched counts and logs a session that came with another client's cookie, or with none (G10).
func (b *Bridge) mismatched(ctx context.Context, rec *store.Record, clientID string) {
	b.stats.mismatches.Add(1)
	if rq, err := b.requestOf(ctx); err == nil { // the log must not find the request, and ask it for its client
		ctx = rq.Context
	}
	b.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "session came with another client's cookie, or none",
		b.logSession(rec.ID), b.logClient(clientID), slog.Bool("refused", b.opts.StrictBinding))
}

// open returns the request's session: the one that it presented, or a new one with another ID.
func (rq *request) open(ctx context.Context) (*Session, error) {
	s, err := rq.openOrLogIn(ctx)
	if err == nil && s.isLocked() {
		return nil, ErrTokenRotated
	}
	return s, err
}

// openOrLogIn is open that also returns the Session of a token that a login has replaced: see
// opening.Proof.Locked.
func (rq *request) openOrLogIn(ctx context.Context) (*Session, error) {
	release, err := rq.lockOpening(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
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
			return nil, ErrSessionGone // the client would not get the token of a new one
		}
		s, err = rq.newSession(gateway.Now())
	}
	if err != nil {
		return nil, err
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.r == nil { // the handler has returned meanwhile: there is no commit to come
		return nil, ErrSessionClosed
	}
	rq.session = s
	return s, nil
}

// lockOpening lets one goroutine of the request at a time open its session.
func (rq *request) lockOpening(ctx context.Context) (release func(), err error) {
	rq.mu.Lock()
	over := rq.r == nil
	if rq.opening == nil {
		rq.opening = ctxlock.New()
	}
	opening := rq.opening
	rq.mu.Unlock()
	if over {
		return nil, ErrSessionClosed
	}
	if err := opening.LockOrWait(ctx); err != nil {
		return nil, err
	}
	return opening.Unlock, nil
}

// afterDestroy returns s, or nil if the request itself has destroyed it: then its next use is that
// of a new session.
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
	o, err := rq.creds.Open(ctx, rq.isHandshake())
	switch {
	case o == nil: // it has none, or err
		return nil, err
	case o.Standing == opening.None:
		rq.reportRejection(ctx, o.Rejection)
		return nil, nil
	case o.Standing == opening.Replaced && rq.headersSent(): // a login could not set its cookie
		return nil, ErrTokenRotated
	}
	return rq.sessionOf(o)
}

// sessionOf returns the Session that has been opened.
func (rq *request) sessionOf(o *opening.Opened) (*Session, error) {
	s, err := rq.b.newSession(o.Record, &origin{via: ViaHTTP, request: rq})
	if err == nil {
		s.proof, err = rq.b.opener.Prove(o, &s.draft)
	}
	return s, err
}

// newSession returns a session that is not stored yet, with a new ID and a new token.
func (rq *request) newSession(now time.Time) (*Session, error) {
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
		Created:   now,
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

// attach maps the session to its client, and reports that if this process does it for the first
// time.
func (b *Bridge) attach(ctx context.Context, rec *store.Record, via Via) error {
	if b.clients.Refresh(rec.ClientID, rec.ID) {
		b.noticeLogin(ctx, rec)
		return nil
	}
	clientID, id := rec.ClientID, rec.ID
	needed := func() bool { return !b.clients.Refresh(clientID, id) } // another may have done it meanwhile
	return b.gateway.ReportIf(ctx, id, needed, func(now *store.Record) {
		if !b.mapClient(now, false) {
			return
		}
		if newest, _ := b.clients.SessionOf(now.ClientID); b.opts.Rebind == Follow && newest == now.ID {
			b.follow(now)
		}
		if b.events.Active() {
			b.events.Emit(SessionSet{
				ClientID: now.ClientID, SessionID: now.ID, UserID: now.UserID, IsInit: true, Via: via,
			})
		}
	})
}

// rejectReasons are the reasons of package opening.
var rejectReasons = [...]RejectReason{
	opening.NoSession:     RejectedSession,
	opening.OtherToken:    RejectedToken,
	opening.ForeignClient: RejectedClient,
}

// reportRejection counts, logs and reports that the request's session credential opens nothing.
func (rq *request) reportRejection(ctx context.Context, r opening.Rejection) {
	rq.reject(CredentialRejected{
		Credential: rq.credential(), Reason: rejectReasons[r.Reason], SessionID: r.SessionID, UserID: r.UserID,
	})
	rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "session cookie opens nothing: unknown session or stale token",
		rq.b.logSession(rq.creds.Presented().Sessions[0].ID))
}

// reportForged is reportRejection for a cookie or a token that no key has signed.
func (rq *request) reportForged(ctx context.Context) {
	kind := rq.credential()
	rq.reject(CredentialRejected{Credential: kind, Reason: RejectedSignature})
	message := "session cookie refused: its signature doesn't hold"
	if kind == CredentialToken {
		message = "session token refused: its signature doesn't hold"
	}
	rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, message) //nolint:sloglint // one of two constants
}

// reportTicket is reportRejection for a ticket that opens nothing, if err is ErrTicket.
func (rq *request) reportTicket(ctx context.Context, err error, r opening.Rejection) {
	if !errors.Is(err, ErrTicket) {
		return
	}
	rq.reject(CredentialRejected{
		Credential: CredentialTicket, Reason: RejectedTicket, SessionID: r.SessionID, UserID: r.UserID,
	})
	rq.b.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "ticket opens nothing")
}

// credential is the kind of the request's session credential that isn't a ticket.
func (rq *request) credential() Credential {
	if rq.creds.Presented().Carrier == credentials.ByToken {
		return CredentialToken
	}
	return CredentialCookie
}

// reject counts and reports a credential that opens nothing.
func (rq *request) reject(cr CredentialRejected) {
	b := rq.b
	b.stats.refused.Add(1)
	if !b.events.Active() {
		return
	}
	if id, isNew := rq.creds.Client(); !isNew {
		cr.ClientID = id
	}
	cr.Addr, cr.UserAgent, cr.Via = rq.addr(), rq.userAgent(), ViaHTTP
	b.events.Emit(cr)
}

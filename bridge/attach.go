package bridge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/closing"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/registry"
)

// Attach ties a long-lived response or hijacked connection to the request's session: the link is
// listed, and is closed with the session. close is called at most once, in its own goroutine, with
// a close code and a reason; it must make the handler return. Call Detach when the handler ends. A
// request without a session gets a link with an empty SessionID.
//
// Call Attach after the handshake, when a session that begins with it has been stored: for a
// stream, after a flush. If the session was destroyed meanwhile, close is called at once, perhaps
// before Attach has returned. A page of another origin (Options.OriginPatterns) gets ErrOrigin:
// close the connection with CloseCode of the error, or answer with its HTTPStatus if nothing has
// been sent. Other errors: ErrTooManyConns, ErrNoMiddleware, ErrTokenRotated, ErrStoreUnavailable,
// ErrOverloaded, ErrShutdown. After an error close is not called.
func (b *Bridge) Attach(r *http.Request, close func(code int, reason string)) (*Link, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return nil, err
	}
	if err := b.opts.checkOrigin(r, "connection from another origin refused"); err != nil {
		return nil, err
	}
	if !b.work.TryEnter() {
		return nil, ErrShutdown
	}
	defer b.work.Leave()
	if !b.admit.TryEnter() {
		return nil, ErrOverloaded
	}
	defer b.admit.Leave()
	rq.coalesceLoads()
	rq.askClient()
	s, err := rq.open(rq.untilAnswered(r.Context()))
	if err != nil {
		return nil, err
	}
	l := &Link{closer: closing.NewFunc(func(c registry.Close) { close(c.Code, c.Reason) })}
	if err := b.attachLink(r.Context(), rq, s, l); err != nil {
		l.closer.Stop(false, 0) // the caller closes what it has opened
		return nil, err
	}
	return l, nil
}

// untilAnswered returns ctx, without its end once the request has been upgraded: then the handler
// detects a lost connection, as at any other time.
func (rq *request) untilAnswered(ctx context.Context) context.Context {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.hijacked != nil {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// attachLink registers a link and then loads its session again: a destroy before the registration
// could not close the link, a later one does (G5). ctx has the values of the link's context; l has
// nothing but its closer or its Conn.
func (b *Bridge) attachLink(ctx context.Context, rq *request, s *Session, l *Link) (err error) {
	if b.work.Stopped() {
		return ErrShutdown
	}
	rec := s.record()
	id := rq.connID
	if id == "" {
		id = uuid.NewString()
	}
	l.b, l.userAgent = b, rq.userAgent()
	l.entry = registry.Entry{ID: id, ClientID: rec.ClientID, Addr: rq.addr(), OpenedAt: b.clock.Now()}
	l.active.Store(int64(l.entry.OpenedAt))
	l.origin = origin{via: ViaSocket, link: l}
	if ctx == context.Context(rq) { // then the link needn't keep the request in memory
		ctx = rq.Context
	}
	l.root = linkContext{context.WithoutCancel(ctx), l}
	l.ctx, l.closing.Cancel = context.WithCancelCause(&l.root)
	var sessionID, userID string
	var proved uint64
	if rec.Revision != 0 && !s.over() {
		sessionID, userID = rec.ID, rec.UserID
		if b.opts.Rebind == Reconnect {
			proved = s.proof.Generation()
		}
		l.entry.Attach(sessionID, userID, proved)
	}
	op := rq.untilAnswered(rq)
	b.cluster.Retain(cluster.Topic{ClientID: l.entry.ClientID})
	evicted, err := b.addLink(rq, l, sessionID) // from here on other goroutines may cut it
	if err != nil {
		b.cluster.Release(cluster.Topic{ClientID: l.entry.ClientID})
		return err
	}
	if b.events.Active() { // before any return that ends the link
		b.events.Emit(ConnOpen{
			ConnID: id, ClientID: rec.ClientID, SessionID: sessionID, UserID: userID,
			Addr: l.entry.Addr, UserAgent: l.userAgent,
		})
	}
	for _, e := range evicted {
		e.end(CodePolicy, reasonReplaced)
	}
	safe := false
	defer func() {
		if !safe { // the store has failed, or panicked
			if err != nil {
				l.beginEnd(CloseCode(err), "") // the code that the caller uses
			}
			l.abandon()
		}
	}()
	if err = b.subscribe(op, sessionID, l.entry.ClientID); err == nil { // from here on other nodes may cut it
		err = b.recheckLink(op, l, sessionID, proved)
	}
	if err == nil {
		err = b.meetNewest(op, rq, l, rec.ID)
	}
	if err == nil && b.work.Stopped() { // the shutdown may not have seen the link
		l.end(CodeShutdown, b.comeBack(1))
	}
	safe = err == nil
	return err
}

// recheckLink cuts off a link that has just been registered if its session, "" being none, has
// ended or a login has replaced the token meanwhile.
func (b *Bridge) recheckLink(ctx context.Context, l *Link, sessionID string, proved uint64) error {
	if sessionID == "" {
		return nil
	}
	now, err := b.gateway.LoadShared(ctx, sessionID) // shared only with loads that begin after the registration
	switch {
	case errors.Is(err, ErrSessionMissing):
		b.links.Part(l)
		if b.opts.OnSessionEnd == CloseConns {
			l.end(CodeDestroyed, "session ended during the handshake")
		}
	case err != nil:
		return err
	case registry.ShutOut(proved, now.LoginGeneration):
		b.links.Part(l)
		l.end(CodeReconnect, "session changed during the handshake")
	default:
		b.learn(&now)
	}
	return nil
}

// meetNewest handles a session that the client has got during the handshake, before the link was
// registered: the link follows to it, or is cut off.
//
// A link without a session is sent back if its client has got one a moment ago: the response with
// the cookies may still be on its way, and the page doesn't notice its arrival. The link is closed
// when the session's age has doubled, so this happens a few times at most.
func (b *Bridge) meetNewest(ctx context.Context, rq *request, l *Link, sessionID string) error {
	follow := b.opts.Rebind == Follow
	if l.SessionID() == "" { // otherwise its session's subscription reports a login
		since := rq.creds.Began()
		if follow { // any session of the client will do
			since = time.Time{}
		}
		if err := b.findNewer(l.entry.ClientID, since); err != nil {
			return err
		}
	}
	newest, ok := b.clients.SessionOf(l.entry.ClientID)
	if !ok && follow && b.cluster == nil && l.SessionID() == "" { // this process may have forgotten it
		rec, err := b.gateway.NewestOfClient(rq, l.entry.ClientID)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return err
		}
		newest, ok = rec.ID, err == nil
	}
	switch {
	case !ok || newest == sessionID:
		return nil
	case follow:
	case newest != rq.creds.NewestBefore():
		if b.links.PartOutsider(l) {
			l.end(CodeReconnect, "session changed during the handshake")
		}
		return nil
	case l.SessionID() != "":
		return nil
	}
	rec, err := b.gateway.LoadShared(ctx, newest)
	switch age := time.Since(rec.Began()); {
	case errors.Is(err, ErrSessionMissing):
	case err != nil:
		return err
	case follow:
		b.follow(&rec)
	case age < rebindGrace && b.links.MayAwait(&rec):
		l.endLater(reconnect, false, max(age, rebindDelay))
	}
	return nil
}

package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/closing"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/registry"
)

// Attach ties a long-lived response or hijacked connection to the request's session: it is listed,
// and it is closed with the session. close is called at most once, in a goroutine of its own, with
// a close code and a reason; it must make the handler end. Call Detach when it has. A request
// without a session gets a link too, with an empty SessionID.
//
// Attach is called when the handshake is done, and a session that begins with it is stored: a
// stream has been flushed. A session that was destroyed meanwhile closes it at once, perhaps before
// Attach has returned. A page of another origin (Options.OriginPatterns) gets ErrOrigin: close what
// it has opened, with CloseCode of the error, or answer with HTTPStatus of it as long as nothing
// has been sent. ErrTooManyConns, ErrNoMiddleware, ErrTokenRotated, ErrStoreUnavailable,
// ErrOverloaded, ErrShutdown. After an error close is not called.
func (b *Bridge) Attach(r *http.Request, close func(code int, reason string)) (*Link, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return nil, err
	}
	if !b.opts.originAllowed(r) {
		b.opts.Logger.LogAttrs(r.Context(), slog.LevelWarn, "connection from another origin refused",
			b.opts.originAttrs(r)...)
		return nil, ErrOrigin
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
	closer := closing.NewFunc(func(c registry.Close) { close(c.Code, c.Reason) })
	l, err := b.attachLink(r.Context(), rq, s, &Link{closer: closer})
	if err != nil {
		closer.Stop(false, 0) // the caller closes what it has opened
		return nil, err
	}
	return l, nil
}

// untilAnswered returns ctx, without its end once the request has been upgraded: that such a
// connection is lost is for its handler to find out, as at any other time.
func (rq *request) untilAnswered(ctx context.Context) context.Context {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.hijacked != nil {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// attachLink registers a link, and looks once more whether its session is there: whoever ended it
// before the link was registered could not close it, whoever does later will (G5). ctx has the
// values that the link's context gets. l has what closes it and nothing else.
func (b *Bridge) attachLink(ctx context.Context, rq *request, s *Session, l *Link) (_ *Link, err error) {
	if b.work.Stopped() {
		return nil, ErrShutdown
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
	if ctx == context.Context(rq) { // nothing between the two has values, and the link needn't keep the request
		ctx = rq.Context
	}
	l.base = context.WithoutCancel(ctx)
	l.ctx, l.closing.Cancel = context.WithCancelCause((*linkContext)(l))
	attached := rec.Revision != 0 && !s.over()
	var had, user string
	var proved uint64
	if attached {
		had, user = rec.ID, rec.UserID
		if b.opts.Rebind == Reconnect {
			proved = s.proof.Generation()
		}
		l.entry.Attach(had, user, proved)
	}
	op := rq.untilAnswered(rq)
	b.cluster.Retain(cluster.Topic{ClientID: l.entry.ClientID})
	evicted, err := b.addOrProbe(rq, l, had) // from here on others may cut it
	if err != nil {
		b.cluster.Release(cluster.Topic{ClientID: l.entry.ClientID})
		return nil, err
	}
	if b.events.Active() { // its end is reported by whoever gets the link, so later
		b.events.Emit(ConnOpen{
			ConnID: id, ClientID: rec.ClientID, SessionID: had, UserID: user,
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
				l.beginEnd(CloseCode(err), "") // as the caller will say
			}
			l.abandon()
		}
	}()
	if err := b.subscribe(op, had, l.entry.ClientID); err != nil { // from there on other nodes may cut it, too
		return nil, err
	}
	if attached {
		now, err := b.gateway.LoadShared(op, rec.ID) // which begins now, not before
		switch {
		case errors.Is(err, ErrSessionMissing):
			b.links.Part(l)
			if b.opts.OnSessionEnd == CloseConns {
				l.end(CodeDestroyed, "session ended during the handshake")
			}
		case err != nil:
			return nil, err
		case registry.ShutOut(proved, now.LoginGeneration):
			b.links.Part(l)
			l.end(CodeReconnect, "session changed during the handshake")
		default:
			b.learn(&now)
		}
	}
	if err := b.meetNewest(op, rq, l, rec.ID); err != nil {
		return nil, err
	}
	if b.work.Stopped() { // and its shutdown may not have seen the link
		l.end(CodeShutdown, b.comeBack(1))
	}
	safe = true
	return l, nil
}

// meetNewest looks whether the client has got a session during the handshake, when the link was not
// there yet to be cut, or to follow.
func (b *Bridge) meetNewest(ctx context.Context, rq *request, l *Link, sessionID string) error {
	if l.SessionID() == "" { // otherwise that would have been told of a login
		since := rq.creds.Began()
		if b.opts.Rebind == Follow { // it may be any session of the client's
			since = time.Time{}
		}
		if err := b.findNewer(l.entry.ClientID, since); err != nil {
			return err
		}
	}
	newest, ok := b.clients.SessionOf(l.entry.ClientID)
	if !ok && b.opts.Rebind == Follow && b.cluster == nil && l.SessionID() == "" { // this process may have forgotten it
		rec, err := b.gateway.NewestOfClient(rq, l.entry.ClientID)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return err
		}
		newest, ok = rec.ID, err == nil
	}
	switch {
	case !ok || newest == sessionID:
	case b.opts.Rebind == Follow:
		rec, err := b.gateway.LoadShared(ctx, newest)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return err
		}
		if err == nil {
			b.follow(&rec)
		}
	case newest != rq.creds.NewestBefore():
		if b.links.PartOutsider(l) {
			l.end(CodeReconnect, "session changed during the handshake")
		}
	case l.SessionID() == "":
		return b.awaitCookies(ctx, l, newest)
	}
	return nil
}

// awaitCookies sends a link without a session back if its client has got one a moment ago: the
// response with the cookies may still be on its way to the browser, and nobody tells the page when
// it arrives. The link is closed after as long again as that is ago, so this happens a few times at
// most.
func (b *Bridge) awaitCookies(ctx context.Context, l *Link, newest string) error {
	rec, err := b.gateway.LoadShared(ctx, newest)
	if errors.Is(err, ErrSessionMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	if age := time.Since(rec.Began()); age < rebindGrace && b.links.MayAwait(&rec) {
		l.endLater(reconnect, false, max(age, rebindDelay))
	}
	return nil
}

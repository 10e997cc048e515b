package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// WebSocket returns a handler that accepts WebSocket connections and runs fn for each, in its own
// goroutine. ctx has the request's values and ends, with a cause, when the connection or its
// session does. When fn returns the connection is closed: normally for nil, otherwise with
// CloseCode of the error. If fn panics it is closed with CodeFailed, and the process continues.
//
// The handshake is refused with 403 for a page of another origin (Options.OriginPatterns), with 503
// when the store is unavailable or the Bridge is shutting down or overloaded
// (Options.MaxHandshakes), with 429 beyond MaxConnsPerAddr, HandshakesPerAddr and
// HandshakesPerSession, with 409 for a token that a login has just replaced, and with 401 for an
// invalid ticket. Options out of range fail every handshake with 500, and are logged.
// Bridge.Handler around it is optional.
func (b *Bridge) WebSocket(fn func(ctx context.Context, c *Conn) error, opts *ConnOptions) http.Handler {
	return b.socket(fn, opts, AcceptMissing)
}

// socket is WebSocket with another default of ConnOptions.OnMissing.
func (b *Bridge) socket(
	fn func(ctx context.Context, c *Conn) error, opts *ConnOptions, onMissing MissingPolicy,
) http.Handler {
	o, err := opts.withDefaults(onMissing)
	if err != nil {
		b.report.Failed(context.Background(), slog.LevelError, "use a handler's ConnOptions", "", err)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.WriteError(w, r, err) })
	}
	h := &socketHandler{b: b, fn: fn, opts: o, acceptor: b.sockets.NewAcceptor(o.socket())}
	return b.Handler(http.HandlerFunc(h.handshake))
}

type socketHandler struct {
	b        *Bridge
	fn       func(context.Context, *Conn) error
	opts     ConnOptions
	acceptor *socket.Acceptor
}

// handshake upgrades the request and returns, so that net/http can release it.
func (h *socketHandler) handshake(w http.ResponseWriter, r *http.Request) {
	b := h.b
	if !b.work.TryEnter() {
		b.refuseForNow(w, r, ErrShutdown)
		return
	}
	defer b.work.Leave()
	if err := b.opts.site.CheckHandshake(r, "handshake from another origin refused"); err != nil {
		b.refuseHandshake(w, r, err)
		return
	}
	if err := b.admitFrom(r); err != nil { // after the origin: a foreign page must not use up its visitor's rate
		b.refuseHandshake(w, r, err)
		return
	}
	if err := b.admitHandshake(r.Context()); err != nil {
		b.refuseForNow(w, r, err)
		return
	}
	defer b.admit.Leave()
	rq, err := b.requestFor(r)
	if err != nil {
		b.WriteError(w, r, err)
		return
	}
	l := &Link{}
	s, err := h.open(rq, r, l)
	isAway := errors.Is(err, ErrStoreUnavailable) && h.opts.OnUnavailable == CloseUnavailable
	if err != nil {
		b.handshakeFailed(rq, err)
	}
	if err != nil && !isAway {
		b.refuseHandshake(w, r, err)
		return
	}
	c := &Conn{link: l, opts: &h.opts}
	l.conn = c // before the registration, from which on other goroutines use it
	if status, err := c.socket.Accept(h.acceptor, (*socketOwner)(l), w, r); err != nil {
		if !rq.wroteHeaders() { // otherwise the client has its answer
			err = errorcodes.RefuseHandshake(status, err)
			b.handshakeFailed(rq, err)
			b.refuseHandshake(w, r, err)
		}
		return
	}
	if isAway {
		l.prepare(r.Context(), b, registry.Entry{}, "") // it is never registered
		l.beginEnd(CodeUnavailable, "")
		c.socket.Close(CodeUnavailable, b.closeReason(err))
		return
	}
	if err := h.start(r, rq, s, c); err != nil {
		b.handshakeFailed(rq, err)
		b.pools.closes.Go(func() { c.socket.Close(CloseCode(err), b.closeReason(err)) })
	}
}

// handshakeFailed reports a handshake that fails because the store or the program does. There are
// many of these during an outage, so none waits for the log.
func (b *Bridge) handshakeFailed(rq *request, err error) {
	if !errorcodes.CausedByClient(err) && !errors.Is(err, ErrShutdown) {
		b.report.FailedAside(context.WithoutCancel(rq), slog.LevelError, "open a connection", rq.sessionID(), err)
	}
}

// open opens the session of a handshake, or returns the error with which to refuse it. It sets what
// ConnOptions say of l.
func (h *socketHandler) open(rq *request, r *http.Request, l *Link) (*Session, error) {
	o := LinkOptions{OnNameInUse: h.opts.OnNameInUse}
	if h.opts.ID != nil {
		if o.ID = h.opts.ID(r); o.ID != "" && !registry.ValidID(o.ID) {
			return nil, invalidConnID("ConnOptions")
		}
	}
	if addr := rq.addr(); h.b.links.AddrStaysFull(rq, addr) {
		err := errorcodes.OfConn(registry.ErrAddrFull, h.b.opts.connLimits())
		h.b.reportTooMany(rq.Context, err, reporting.Subject{Addr: h.b.records.Addr(addr), Via: string(ViaHTTP)})
		return nil, err
	}
	rq.coalesceLoads()
	rq.askClient() // a connection has a client, so the client cookie is set
	s, err := rq.open(r.Context())
	if err == nil && s.absent() && h.opts.OnMissing == RefuseMissing {
		err = newMissing(rq.noted())
	}
	if err == nil {
		err = h.b.admitTo(rq, s)
	}
	if err == nil && h.opts.Name != nil {
		o.Name = h.opts.Name(r)
	}
	if err == nil {
		l.entry, err = o.entry("ConnOptions")
	}
	return s, errorcodes.OfHandshake(err)
}

// refuseHandshake is refuse, and writes an audit line for what the client has caused. A limit has
// its own line.
func (b *Bridge) refuseHandshake(w http.ResponseWriter, r *http.Request, err error) {
	if errorcodes.CausedByClient(err) && !errors.Is(err, ErrRateLimited) && !errors.Is(err, ErrTooManyConns) {
		b.auditHandshake(r, err)
	}
	b.refuse(w, r, err)
}

// auditHandshake writes the audit line of a handshake that is refused.
func (b *Bridge) auditHandshake(r *http.Request, err error) {
	about := reporting.Subject{Addr: b.records.Addr(b.opts.site.Addr(r)), Via: string(ViaHTTP)}
	if rq, err := b.requestOf(r.Context()); err == nil {
		about.SessionID = rq.sessionID()
		if id, isNew := rq.creds.Client(); !isNew {
			about.ClientID = id
		}
	}
	b.report.AuditRefusal(r.Context(), slog.LevelInfo, "handshake refused", "", about,
		slog.Int("status", HTTPStatus(err)), slog.String("reason", errorcodes.Text(err)))
}

// refuseForNow is refuse with a Retry-After header.
func (b *Bridge) refuseForNow(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(b.admit.RetryAfter()))
	b.refuse(w, r, err)
}

// start attaches the connection and starts its handler.
func (h *socketHandler) start(r *http.Request, rq *request, s *Session, c *Conn) error {
	b, l := h.b, c.link
	missing := s.IsNew()
	returned := false
	defer func() {
		if !returned { // the store has panicked: net/http doesn't close a hijacked connection
			c.socket.Cut()
		}
	}()
	l.queue.Open(h.opts.NotifyQueue, outbox.Overflow(h.opts.OnNotifyFull), func(m *outbox.Message) error {
		return c.send(context.Background(), m)
	})
	position, keeps := credentials.KeptOffer(r)
	l.keeps.Store(keeps)
	l.entry.Fixed = keeps
	err := b.attachLink(r.Context(), rq, s, l)
	closes := missing && h.opts.OnMissing == CloseMissing
	if err == nil && keeps && !closes {
		loggedIn := s.record().LoggedIn
		err = l.joinKept(context.WithoutCancel(r.Context()), position,
			func(context.Context) (time.Time, error) { return loggedIn, nil })
		if err != nil {
			l.beginEnd(CloseCode(err), "") // the code that the caller uses
			l.abandon()
		}
	}
	returned = true
	switch {
	case err != nil:
		return err
	case closes:
		l.endPending(false) // if the browser is about to get a session, this code makes it reconnect
		l.end(CodeNoSession, b.closeReason(newMissing(l.missing)))
		l.abandon()
		return nil
	}
	c.socket.Start()
	if !b.work.TryGo(func() { c.serve(h.fn) }) {
		c.socket.Release()
		l.end(CodeShutdown, b.comeBack(1))
		l.abandon()
	}
	return nil
}

// serve runs the connection's handler and closes the connection, also after a panic or a Goexit.
func (c *Conn) serve(fn func(context.Context, *Conn) error) {
	l, err := c.link, ErrPanicked
	defer func() { c.conclude(err) }()
	defer func() {
		if p := recover(); p != nil {
			l.b.report.Panicked(l.ctx, "connection handler panicked", "run a connection's handler: it panicked",
				c.SessionID(), p)
		}
	}()
	err = fn(l.ctx, c)
}

// conclude closes the connection whose handler has returned err.
func (c *Conn) conclude(err error) {
	l := c.link
	if l.ctx.Err() == nil && !errors.Is(err, ErrPanicked) {
		const doing = "go on with a connection: its handler has failed"
		switch {
		case CloseCode(err) == CodeFailed:
			l.b.report.FailedInTime(l.ctx, slog.LevelWarn, doing, c.SessionID(), err)
		case errors.Is(err, ErrStoreUnavailable) && !errors.As(err, new(reportedError)):
			l.b.report.FailedAside(l.ctx, slog.LevelWarn, doing, c.SessionID(), err)
		}
	}
	l.endPending(false) // a close that waits for the handler determines the code
	code, reason := c.endedWith(err)
	if l.beginEnd(code, reason) {
		l.close(code, reason)
	}
	c.socket.Release()
	l.detach(code, reason)
}

// endedWith returns the close code and reason of a connection whose handler has returned err.
func (c *Conn) endedWith(err error) (code int, reason string) {
	b := c.link.b
	if lost, ok := c.socket.LostCode(); ok { // a lost connection has no other code
		return lost, ""
	}
	if pending := b.links.CloseOf(&c.link.entry); pending.Code != codeNone && errors.Is(err, ErrSessionMissing) {
		return pending.Code, pending.Reason // the handler has returned before the close that is under way
	}
	return CloseCode(err), b.closeReason(err)
}

// closeReason returns a text for errors that a client can act on. It reveals no others.
func (b *Bridge) closeReason(err error) string {
	reason := errorcodes.CloseReason(err)
	switch missing := MissingReasonOf(err); reason {
	case errorcodes.ReasonShutdown:
		return b.comeBack(1)
	case errorcodes.ReasonNoSession:
		if missing != MissingNoCredential && missing != MissingUnknown {
			return "no session: " + string(missing)
		}
	}
	return reason
}

package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// WebSocket returns a handler that accepts WebSocket connections and runs fn for each, in its own
// goroutine. ctx has the request's values and ends, with a cause, when the connection or its
// session does. When fn returns the connection is closed: normally for nil, otherwise with
// CloseCode of the error. If fn panics it is closed with CodeFailed, and the process continues.
//
// The handshake is refused with 403 for a page of another origin (Options.OriginPatterns), with 503
// when the store is unavailable or the Bridge is shutting down or overloaded
// (Options.MaxHandshakes), with 409 for a token that a login has just replaced, and with 401 for an
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
		b.failed(context.Background(), slog.LevelError, Failure{Doing: "use a handler's ConnOptions", Err: err})
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
	if err := b.opts.checkOrigin(r, "handshake from another origin refused"); err != nil {
		b.refuse(w, r, err)
		return
	}
	if !b.admit.TryEnter() {
		b.refuseForNow(w, r, ErrOverloaded)
		return
	}
	defer b.admit.Leave()
	rq, err := b.requestFor(r)
	if err != nil {
		b.WriteError(w, r, err)
		return
	}
	s, err := h.open(rq, r)
	if err != nil {
		b.refuse(w, r, err)
		return
	}
	l := &Link{}
	c := &Conn{link: l, opts: &h.opts}
	l.conn = c // before the registration, from which on other goroutines use it
	if status, err := c.socket.Accept(h.acceptor, (*socketOwner)(l), w, r); err != nil {
		if !rq.wroteHeaders() { // otherwise the client has its answer
			b.refuse(w, r, &handshakeRefusal{status, err})
		}
		return
	}
	if err := h.start(r.Context(), rq, s, c); err != nil {
		b.pools.closes.Go(func() { c.socket.Close(CloseCode(err), b.closeReason(err)) })
	}
}

// open opens the session of a handshake, or returns the error with which to refuse it.
func (h *socketHandler) open(rq *request, r *http.Request) (*Session, error) {
	if h.opts.ID != nil {
		if rq.connID = h.opts.ID(r); !validConnID(rq.connID) {
			return nil, ErrConnID
		}
	}
	if h.b.addrFull(rq, rq.addr()) {
		return nil, ErrTooManyAddrConns
	}
	rq.coalesceLoads()
	rq.askClient() // a connection has a client, so the client cookie is set
	s, err := rq.open(r.Context())
	if err == nil && s.absent() && h.opts.OnMissing == RefuseMissing {
		err = ErrSessionMissing
	}
	return s, handshakeError(err)
}

// refuseForNow is refuse with a Retry-After header.
func (b *Bridge) refuseForNow(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(b.admit.RetryAfter()))
	b.refuse(w, r, err)
}

// start attaches the connection and starts its handler.
func (h *socketHandler) start(ctx context.Context, rq *request, s *Session, c *Conn) error {
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
	err := b.attachLink(ctx, rq, s, l)
	returned = true
	switch {
	case err != nil:
		return err
	case missing && h.opts.OnMissing == CloseMissing:
		l.endPending(false) // if the browser is about to get a session, this code makes it reconnect
		l.end(CodeNoSession, b.closeReason(ErrSessionMissing))
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
			l.b.panicked(l.ctx, "connection handler panicked", "run a connection's handler: it panicked",
				c.SessionID(), p)
		}
	}()
	err = fn(l.ctx, c)
}

// conclude closes the connection whose handler has returned err.
func (c *Conn) conclude(err error) {
	l := c.link
	if l.ctx.Err() == nil && CloseCode(err) == CodeFailed && !errors.Is(err, ErrPanicked) {
		l.b.failedInTime(l.ctx, slog.LevelWarn,
			Failure{"go on with a connection: its handler has failed", c.SessionID(), err})
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
	var ce websocket.CloseError
	switch {
	case errors.As(err, &ce): // CloseCode takes its code
		return ""
	case errors.Is(err, ErrTokenRotated):
		return reconnect.Reason
	case errors.Is(err, ErrSessionMissing):
		return "no session: ask for one over HTTP"
	case errors.Is(err, ErrTooManyAddrConns):
		return reasonTooManyAddr
	case errors.Is(err, ErrTooManyConns):
		return reasonTooMany
	case errors.Is(err, ErrConnID):
		return "the connection's name is taken"
	case errors.Is(err, ErrShutdown):
		return b.comeBack(1)
	}
	return ""
}

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

// WebSocket returns a handler that accepts WebSocket connections and runs fn for each, in a
// goroutine of its own. ctx has the request's values and ends, with a cause, when the connection or
// its session does. When fn returns the connection is closed: normally for nil, otherwise with
// CloseCode of the error. If fn panics it is closed with CodeFailed, and the process lives.
//
// The handshake is refused with 403 for a page of another origin (Options.OriginPatterns), with 503
// when the store is unavailable or the Bridge is shutting down or overloaded
// (Options.MaxHandshakes), with 409 for a token that a login has just replaced, with 401 for a
// ticket that opens nothing. Options out of range make every handshake fail with 500 and a log line
// that names the field.
//
// It works with or without Bridge.Handler around it.
func (b *Bridge) WebSocket(fn func(ctx context.Context, c *Conn) error, opts *ConnOptions) http.Handler {
	return b.socket(fn, opts, AcceptMissing)
}

// socket is WebSocket with another default of ConnOptions.OnMissing.
func (b *Bridge) socket(
	fn func(ctx context.Context, c *Conn) error, opts *ConnOptions, onMissing MissingPolicy,
) http.Handler {
	o, err := opts.settle(onMissing)
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

// handshake upgrades the request and returns: what net/http keeps for a request is freed while the
// connection lives on.
func (h *socketHandler) handshake(w http.ResponseWriter, r *http.Request) {
	b := h.b
	if !b.work.TryEnter() {
		b.refuseForNow(w, r, ErrShutdown)
		return
	}
	defer b.work.Leave()
	if !b.opts.originAllowed(r) {
		b.opts.Logger.LogAttrs(r.Context(), slog.LevelWarn, "handshake from another origin refused", b.opts.originAttrs(r)...)
		b.refuse(w, r, ErrOrigin)
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
	if h.opts.ID != nil {
		if rq.connID = h.opts.ID(r); !validConnID(rq.connID) {
			b.refuse(w, r, ErrConnID)
			return
		}
	}
	if b.addrFull(rq, rq.addr()) {
		b.refuse(w, r, ErrTooManyAddrConns)
		return
	}
	rq.coalesceLoads()
	rq.askClient() // a connection is somebody's: the client cookie is due
	s, err := rq.open(r.Context())
	if err != nil {
		b.refuse(w, r, handshakeError(err))
		return
	}
	if s.absent() && h.opts.OnMissing == RefuseMissing {
		b.refuse(w, r, ErrSessionMissing)
		return
	}
	l := &Link{}
	c := &Conn{link: l, opts: &h.opts}
	l.conn = c // from its registration on it is found, and told what others are
	if status, err := c.socket.Accept(h.acceptor, (*socketOwner)(l), w, r); err != nil {
		if !rq.wroteHeaders() { // otherwise the client has been answered
			b.refuse(w, r, &handshakeRefusal{status, err})
		}
		return
	}
	if err := h.start(r.Context(), rq, s, c); err != nil {
		b.pools.closes.Go(func() { c.socket.Close(CloseCode(err), b.closeReason(err)) })
	}
}

// refuseForNow is refuse for a handshake that may succeed later: the answer says when to try again.
func (b *Bridge) refuseForNow(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(b.admit.RetryAfter()))
	b.refuse(w, r, err)
}

// start attaches the connection and lets its handler run.
func (h *socketHandler) start(ctx context.Context, rq *request, s *Session, c *Conn) error {
	b, l := h.b, c.link
	missing := s.IsNew()
	returned := false
	defer func() {
		if !returned { // the store has panicked: net/http knows nothing of the connection any more
			c.socket.Cut()
		}
	}()
	l.queue.Open(h.opts.NotifyQueue, h.opts.OnNotifyFull.queue(), func(m *outbox.Message) error {
		return c.send(context.Background(), m)
	})
	_, err := b.attachLink(ctx, rq, s, l)
	returned = true
	switch {
	case err != nil:
		return err
	case missing && h.opts.OnMissing == CloseMissing:
		l.endPending(false) // if the browser is about to have a session, it is to come back
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

// serve runs the connection's handler and closes the connection after it, also if the handler ends
// its goroutine.
func (c *Conn) serve(fn func(context.Context, *Conn) error) {
	err := ErrPanicked
	defer func() { c.conclude(err) }()
	err = c.protect(fn)
}

// conclude closes the connection whose handler has returned err.
func (c *Conn) conclude(err error) {
	c.logFailure(err)
	c.link.endPending(false) // if a close waits for the handler to be done, it says how
	code, reason := c.endedWith(err)
	if c.link.beginEnd(code, reason) { // otherwise another is closing it
		c.link.close(code, reason)
	}
	c.socket.Release()
	c.link.detach(code, reason)
}

// endedWith returns how the connection of a handler ends that has returned err.
func (c *Conn) endedWith(err error) (code int, reason string) {
	if lost, ok := c.socket.LostCode(); ok { // whatever the handler makes of that
		return lost, ""
	}
	if over := c.link.b.links.CloseOf(&c.link.entry); over.Code != codeNone && errors.Is(err, ErrSessionMissing) {
		return over.Code, over.Reason // the handler was faster than the close that is on its way
	}
	return CloseCode(err), c.link.b.closeReason(err)
}

// closeReason returns what a client may know of an error that closes its connection: of ours what
// it can act on, of the application's nothing.
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

// logFailure tells of an error by which the handler ends its connection, which else nobody learns.
func (c *Conn) logFailure(err error) {
	if c.link.ctx.Err() == nil && CloseCode(err) == CodeFailed && !errors.Is(err, ErrPanicked) {
		c.link.b.failedInTime(c.link.ctx, slog.LevelWarn,
			Failure{"go on with a connection: its handler has failed", c.SessionID(), err})
	}
}

func (c *Conn) protect(fn func(context.Context, *Conn) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.link.b.panicked(c.link.ctx, "connection handler panicked",
				"run a connection's handler: it panicked", c.SessionID(), p)
			err = ErrPanicked
		}
	}()
	return fn(c.link.ctx, c)
}

package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/closing"
	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/forwarded"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/tracking"
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
// been sent. Other errors: ErrPlainHTTP for a WebSocket handshake, ErrTooManyConns, ErrRateLimited,
// ErrNoMiddleware, ErrTokenRotated, ErrStoreUnavailable, ErrOverloaded, ErrShutdown. After an error
// close is not called.
func (b *Bridge) Attach(r *http.Request, close func(code int, reason string)) (*Link, error) {
	return b.AttachWith(r, LinkOptions{}, close)
}

// LinkOptions are what AttachWith gives a link besides its session: what ConnOptions.ID, Name and
// OnNameInUse give a connection.
type LinkOptions struct {
	ID, Name    string
	OnNameInUse NamePolicy
}

// entry returns the part of a link's entry that the options determine. ErrConnID, ErrConnName; an
// error names the field of the struct that has it.
func (o *LinkOptions) entry(of string) (e registry.Entry, err error) {
	switch {
	case o.ID != "" && !registry.ValidID(o.ID):
		return e, invalidConnID(of)
	case !registry.ValidName(o.Name):
		return e, fmt.Errorf("%w: %s.Name has at most %d bytes of UTF-8, without control characters",
			ErrConnName, of, registry.MaxName)
	case o.OnNameInUse > ReplaceName:
		return e, fmt.Errorf("bridge: %s.OnNameInUse: %d is not a NamePolicy", of, o.OnNameInUse)
	}
	return registry.Entry{ID: o.ID, Name: o.Name, Naming: registry.Naming(o.OnNameInUse)}, nil
}

// CheckOrigin returns nil if Options.OriginPatterns and CheckOrigin allow the page that sends the
// request to open a connection, as Attach and a handshake of WebSocket check it. It is for handshakes
// that another program completes, such as the one behind a proxy that asks here whether it may. A
// request without an Origin header doesn't come from a page, and is allowed. ErrOrigin, or
// ErrPlainHTTP for a request with an Upgrade header that needs TLS and has none; HTTPStatus of both is
// 403. The refusal is logged. It needs no Bridge.Handler.
func (b *Bridge) CheckOrigin(r *http.Request) error {
	err := b.opts.site.CheckHandshake(r, "connection from another origin refused")
	if err != nil {
		b.auditHandshake(r, err)
	}
	return err
}

// AttachWith is Attach of a link with an ID or a name of the application's. Also ErrConnID and
// ErrConnName.
func (b *Bridge) AttachWith(r *http.Request, o LinkOptions, close func(code int, reason string)) (*Link, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return nil, err
	}
	entry, err := o.entry("LinkOptions")
	if err != nil {
		return nil, err
	}
	if err := b.opts.site.CheckHandshake(r, "connection from another origin refused"); err != nil {
		b.auditHandshake(r, err)
		return nil, err
	}
	if err := b.admitFrom(r); err != nil {
		return nil, err
	}
	leave, err := b.enter(r.Context())
	if err != nil {
		return nil, err
	}
	defer leave()
	rq.coalesceLoads()
	rq.askClient()
	s, err := rq.open(rq.untilAnswered(r.Context()))
	if err == nil {
		err = b.admitTo(rq, s)
	}
	if err != nil {
		return nil, err
	}
	l := &Link{entry: entry, closer: closing.NewFunc(func(c registry.Close) { close(c.Code, c.Reason) })}
	if err := b.attachLink(r.Context(), rq, s, l); err != nil {
		l.closer.Stop(false, 0) // the caller closes what it has opened
		return nil, err
	}
	return l, nil
}

// enter admits the caller as a handshake, which lasts until it calls leave.
func (b *Bridge) enter(ctx context.Context) (leave func(), err error) {
	if !b.work.TryEnter() {
		return nil, ErrShutdown
	}
	if err := b.admitHandshake(ctx); err != nil {
		b.work.Leave()
		return nil, err
	}
	return func() {
		b.admit.Leave()
		b.work.Leave()
	}, nil
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

// Remote is something that is connected elsewhere, and belongs to a session or a client, such as a
// device at an MQTT broker: see Bridge.AttachRemote.
type Remote struct {
	// ID is the application's ID for it, Name a name that others may have, too, and OnNameInUse
	// whether they may: as in ConnOptions. Defaults: a UUID; none; ShareName.
	ID, Name    string
	OnNameInUse NamePolicy
	// SessionID is its session, ClientID its client. Defaults: no session; the session's client, or
	// a new one. A ClientID that isn't the session's, or that no client can have, is an error.
	SessionID, ClientID string
	// Addr and UserAgent describe it in ConnInfo and events. Addr is an IP address, whose port and
	// zone are dropped, as in NewSession; an empty one doesn't count towards MaxConnsPerAddr. Of
	// UserAgent at most 256 bytes are kept.
	Addr, UserAgent string
	// Data is the value of ConnInfo.Data: see Link.SetData.
	Data any

	// Lease is the time after which it is gone, unless RemoteLink.Renew is called before:
	// MinTimeout to 100 years.
	Lease time.Duration
	// Notify sends it a message of Bridge.Notify: see Link.OnNotify, with its defaults. Nil: it
	// receives none.
	Notify func(kind websocket.MessageType, data []byte) error
	// Close tells it that it has been closed, with a close code and a reason. It is called at most
	// once, in its own goroutine, and need not call Detach. The ID and the name are free as soon as
	// the close has begun, so Close may attach it again. Nil: nothing is called.
	Close func(code int, reason string)
}

// RemoteLink is the Link of a Remote. It ends with Detach, with the session, or with its lease.
type RemoteLink struct{ *Link }

// AttachRemote registers something that is connected elsewhere as a connection: it is listed by
// Conns, with Remote set, receives the messages of Notify, counts towards the limits on
// connections, and is closed with its session, also if another node ends that. When the lease ends
// it is closed with CodeIdle. It takes no goroutine and no timer.
//
// The caller has to check that it may belong to the session: nothing here asks for a credential. A
// later login to the session closes it with CodeReconnect, and it may be attached again. Attaching
// it and Renew are no activity of the user, which Active records. A process that ends without a
// Shutdown loses its registry; other processes then no longer list it.
//
// The context is for the call only; its values are those of RemoteLink.Context. If the session has
// ended meanwhile, Close is called, perhaps before AttachRemote has returned. Errors: invalid
// fields, which they name; ErrConnID and ErrConnName for an ID or a name that is invalid or in use
// in this process; ErrSessionMissing, ErrTooManyConns, ErrStoreUnavailable, ErrOverloaded,
// ErrShutdown. After an error Close is not called.
func (b *Bridge) AttachRemote(ctx context.Context, r Remote) (*RemoteLink, error) {
	addr, err := forwarded.ClientAddr("Remote.Addr", r.Addr)
	e, invalid := (&LinkOptions{r.ID, r.Name, r.OnNameInUse}).entry("Remote")
	outOfRange := ranges.Check("Remote.Lease", r.Lease, MinTimeout, false)
	unknown := credentials.CheckClientID("Remote.ClientID", r.ClientID)
	if err := cmp.Or(invalid, unknown, outOfRange, err, context.Cause(ctx)); err != nil {
		return nil, err
	}
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var m tracking.Member
	if r.SessionID != "" {
		rec, err := b.gateway.Load(ctx, r.SessionID)
		switch {
		case errors.Is(err, ErrSessionMissing):
			b.tracker.Missing(ctx, r.SessionID, nil)
			return nil, err
		case err != nil:
			return nil, err
		case r.ClientID != "" && r.ClientID != rec.ClientID:
			return nil, errors.New("bridge: Remote.ClientID is not the client of the session Remote.SessionID: leave it empty")
		}
		device, _ := b.devices.Deadline(&rec)
		r.ClientID, m = rec.ClientID, tracking.Member{
			SessionID: rec.ID, UserID: rec.UserID, Proved: rec.TokenGeneration, Device: device,
		}
	}
	e.ClientID, e.Addr, e.NoAddr = cmp.Or(r.ClientID, uuid.NewString()), addr, addr == ""
	l := &Link{closer: closing.NewFunc(func(c registry.Close) {
		if r.Close != nil {
			r.Close(c.Code, c.Reason)
		}
	})}
	l.remote = &remote{opened: make(chan struct{})}
	l.remote.lease.Do = func() { l.end(CodeIdle, "the lease has ended") }
	l.prepare(ctx, b, e, b.records.UserAgent(r.UserAgent))
	if r.SessionID == "" {
		l.missing = MissingNoCredential
	}
	if r.Data != nil {
		l.SetData(r.Data)
	}
	if r.Notify != nil {
		l.OnNotify(0, CloseSlow, r.Notify)
	}
	if err := b.register(ctx, l, m, nil); err != nil {
		l.closer.Stop(false, 0)
		return nil, err
	}
	link := &RemoteLink{l}
	link.Renew(r.Lease)
	return link, nil
}

// Renew extends the lease to this time from now, or shortens it; less than MinTimeout is
// MinTimeout. It returns false, and does nothing, if the link has ended or is being closed. It
// doesn't block.
func (r *RemoteLink) Renew(lease time.Duration) bool {
	lease = min(max(lease, MinTimeout), maxTimeout)
	r.b.clock.Move(&r.remote.lease, time.Now().Add(lease))
	if r.closing.Begun() {
		r.b.clock.Remove(&r.remote.lease)
		return false
	}
	return true
}

// attachLink registers a link of the request. ctx has the values of the link's context; l has
// nothing but its closer or its Conn, and what LinkOptions say.
func (b *Bridge) attachLink(ctx context.Context, rq *request, s *Session, l *Link) error {
	rec := s.record()
	if ctx == context.Context(rq) { // then the link needn't keep the request in memory
		ctx = rq.Context
	}
	e := l.entry
	e.ClientID, e.Addr = rec.ClientID, rq.addr()
	l.prepare(ctx, b, e, rq.userAgent())
	var m tracking.Member
	if rec.Revision != 0 && !s.over() {
		m = tracking.Member{
			SessionID: rec.ID, UserID: rec.UserID, Proved: s.proof.Generation(), Device: s.proof.Device(),
		}
	} else {
		l.missing = cmp.Or(rq.noted(), b.missingReason(rec.ID))
	}
	op := rq.untilAnswered(rq)
	return b.register(op, l, m, &tracking.Handshake{
		SessionID: rec.ID, Began: rq.creds.Began(), NewestBefore: rq.creds.NewestBefore(),
	})
}

// prepare makes l an open link, which is still to be registered. An entry without an ID gets one.
func (l *Link) prepare(ctx context.Context, b *Bridge, e registry.Entry, userAgent string) {
	if e.ID == "" {
		e.ID = uuid.NewString()
	}
	e.OpenedAt = b.clock.Now()
	l.b, l.entry, l.userAgent = b, e, userAgent
	l.active.Store(int64(e.OpenedAt))
	l.origin = origin{via: ViaSocket, link: l}
	l.root = linkContext{context.WithoutCancel(ctx), l}
	l.ctx, l.closing.Cancel = context.WithCancelCause(&l.root)
}

// register registers a link. h is nil for one that comes without a handshake.
func (b *Bridge) register(ctx context.Context, l *Link, m tracking.Member, h *tracking.Handshake) error {
	if b.work.Stopped() {
		return ErrShutdown
	}
	err := b.tracker.Register(ctx, l, m, h, func() {
		if b.events.Active() {
			b.events.Emit(ConnOpen{
				ConnID: l.entry.ID, ClientID: l.entry.ClientID, SessionID: m.SessionID, UserID: m.UserID,
				Addr: b.records.Addr(l.entry.Addr), UserAgent: l.userAgent,
			})
		}
		if l.remote != nil {
			close(l.remote.opened)
		}
	})
	if err != nil {
		b.reportTooMany(ctx, err, l.about(m.SessionID))
	} else if b.work.Stopped() { // the shutdown may not have seen the link
		l.end(CodeShutdown, b.comeBack(1))
	}
	return err
}

package bridge

import (
	"context"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// Session returns the request's session. It is loaded at the first call, and its changes are stored
// before the first byte of the response, merged key by key: keys that the request hasn't changed
// keep the values that others have stored meanwhile. For a change that depends on a value that was
// read, such as a counter, use WithSession.
//
// A request without a session gets a new one, which is stored once it holds something.
// ErrSessionGone when the request's session has ended since the request began.
//
// If a login has replaced the request's token less than Options.RotateGrace ago, the Session is
// empty, its Err is ErrTokenRotated, and the response becomes a 409, unless the handler logs the
// same user in again: a browser that never received the response to its login gets another one.
// ErrTokenRotated where that is not possible.
//
// Also ErrNoMiddleware and ErrStoreUnavailable. HTTPStatus gives the status for each.
func (b *Bridge) Session(r *http.Request) (*Session, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return nil, err
	}
	if s, err := rq.inside(r.Context()); s != nil || err != nil {
		return s, err
	}
	return rq.openOrLogIn(r.Context())
}

// Peek returns a snapshot of the request's session as it is stored, like GetByID, if the request's
// credentials open it: methods that change it return ErrSessionClosed. Unlike Session it is no
// activity, and creates, sets and renews nothing: a page may ask with it how much time is left
// (Session.TimeLeft) without keeping the session alive. A session of another library
// (Options.Import) is there once it has been imported, which Peek doesn't do: before that there is
// none, and the reason is MissingNoCredential.
//
// ErrSessionMissing if there is no session; MissingReasonOf returns why. ErrTokenRotated if a login
// has just replaced the token; ErrTicket for a request with a ticket. Also ErrNoMiddleware and
// ErrStoreUnavailable.
func (b *Bridge) Peek(r *http.Request) (*Session, error) {
	rq, err := b.requestFor(r)
	if err != nil {
		return nil, err
	}
	return rq.peek(r.Context())
}

// MissingReason returns why the credentials that the request has come with open no session, so that
// a page can say "you were signed out because you logged in elsewhere"; "" if they open one. It is
// no activity. A session that the request itself creates or logs in to doesn't change the answer:
// see Session.UserID and Session.IsNew.
//
// It knows the reasons of ends that this process has seen, for Options.RememberEnds: those that it
// has caused or noticed, and those of sessions with connections here that other nodes have
// reported. Of others it says MissingUnknown, as it does if the store is unavailable. To a client
// whose cookie or token has no valid signature it says no more than MissingRefused; one that has a
// valid signature has had the session.
func (b *Bridge) MissingReason(r *http.Request) MissingReason {
	rq, err := b.requestFor(r)
	if err != nil {
		return MissingUnknown
	}
	return rq.missingReason(r.Context())
}

// WithSession runs fn on the request's session while no other WithSession runs on it, here or on a
// connection, and stores the changes when fn returns. fn may run again if another writer has
// changed the session meanwhile, so it should change only the session. Write the response after
// WithSession: a response that begins within fn stores the changes made so far. If fn returns an
// error, its changes are not stored, and WithSession returns the error.
//
// Changes that other goroutines of the request make to its Session meanwhile count as changes of
// fn, and are undone with them.
//
// onMissing is called when there is no session; nil creates it. A nested call on the same session
// must get fn's context (r.WithContext(ctx)): it runs inside the outer one. On another session it
// is ErrNested.
//
// Besides the errors of fn and onMissing: those of Session, ErrSessionGone, ErrConflict,
// ErrHeadersSent, ErrSessionTooLarge, a *ValueError, and the cause of the context's end while
// waiting.
func (b *Bridge) WithSession(
	r *http.Request, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error,
) error {
	return b.For(r).WithSession(r.Context(), fn, onMissing)
}

// Sessioner has a session for WithSession: a *Conn, a *Link, or Bridge.For of a request.
type Sessioner interface {
	WithSession(
		ctx context.Context, fn func(ctx context.Context, s *Session) error, onMissing func(context.Context) error,
	) error
}

// For returns the request as a Sessioner, for the WithSession function.
func (b *Bridge) For(r *http.Request) Sessioner {
	rq, err := b.requestFor(r)
	if err != nil {
		return failing{err}
	}
	return rq
}

// failing is the Sessioner of a request that requestFor rejects.
type failing struct{ err error }

func (f failing) WithSession(context.Context, sessionFunc, missingFunc) error { return f.err }

// WithSession implements Sessioner.
func (rq *request) WithSession(ctx context.Context, fn sessionFunc, onMissing missingFunc) error {
	if s, err := rq.inside(ctx); err != nil {
		return err
	} else if s != nil {
		return s.runInside(ctx, fn)
	}
	id := rq.presentedID()
	k := rq.b.gateway.Acquire(id)
	defer func() { k.Release() }()
	changes := k.Changes()
	s, loaded, err := rq.openOnce(ctx)
	if err != nil {
		return err
	}
	if s.absent() && onMissing != nil {
		return onMissing(ctx)
	}
	if s.id != id {
		k.Release()
		k, loaded = rq.b.gateway.Acquire(s.id), false
	}
	atOnce := loaded && ctx.Err() == nil && k.TryLock()
	if !atOnce {
		if err := k.Lock(ctx); err != nil {
			return err
		}
	}
	defer k.Unlock()
	if !atOnce || k.Changes() != changes { // otherwise it has just been loaded
		if err := s.refresh(ctx, k.Later()); err != nil {
			return err
		}
	}
	return s.run(ctx, k, new(txContext), fn)
}

// presentedID returns the session that the request presents; "" if there is none, or several.
func (rq *request) presentedID() string {
	if p := rq.creds.Presented(); p.Carrier != credentials.ByTicket && len(p.Sessions) == 1 {
		return p.Sessions[0].ID
	}
	return ""
}

// inside returns the Session of the request if ctx is that of a function of WithSession on it.
func (rq *request) inside(ctx context.Context) (*Session, error) {
	tx, _ := ctx.Value(txKey{rq.b}).(*txContext)
	if tx == nil {
		return nil, nil
	}
	if tx.session == rq.opened() && tx.session.isLocked() { // its token is replaced: only a login can use it
		return tx.session, nil
	}
	s, err := rq.open(ctx) // proves the token: until then the ID in the cookie doesn't count
	if err != nil {
		return nil, err
	}
	return rq.b.inside(ctx, s.ID())
}

// WithSession is on.WithSession for functions that return a value.
//
// onMissing is called when there is no session. Nil gives ErrSessionMissing on a connection, and
// creates the session over HTTP; Missing returns an error of yours, Fallback a value.
func WithSession[T any](
	ctx context.Context, on Sessioner,
	fn func(context.Context, *Session) (T, error), onMissing func(context.Context) (T, error),
) (T, error) {
	var result, none T
	var missing missingFunc
	if onMissing != nil {
		missing = func(ctx context.Context) (err error) {
			result, err = onMissing(ctx)
			return err
		}
	}
	err := on.WithSession(ctx, func(ctx context.Context, s *Session) (err error) {
		result, err = fn(ctx, s)
		return err
	}, missing)
	if err != nil {
		return none, err
	}
	return result, nil
}

// MissingErr returns an onMissing that returns err.
func MissingErr(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// Missing returns an onMissing for functions that return a value: it returns err.
func Missing[T any](err error) func(context.Context) (T, error) {
	return func(context.Context) (none T, _ error) { return none, err }
}

// Fallback returns an onMissing for functions that return a value: it returns v.
func Fallback[T any](v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, nil }
}

// HandshakeHeader returns the cookies of the response to an upgrade request, for upgraders that
// write the response themselves (gorilla/websocket, gobwas/ws, lxzan/gws): pass it to them as the
// response's header. It stores the session's changes first. If that fails the client gets the
// error, and the upgrader's Hijack fails with it. A ticket that opens nothing is answered with 401
// in the same way. Browsers may ignore cookies on a 101.
//
// HandshakeHeader removes a token or a ticket among the offered subprotocols from r's header, so
// that the upgrader can't answer with it. If only Subprotocol is left, the returned header accepts
// it.
func (b *Bridge) HandshakeHeader(r *http.Request) http.Header {
	h := make(http.Header)
	rq, err := b.requestFor(r)
	if err != nil {
		return h
	}
	rq.creds.AskClient()
	rq.mu.Lock()
	w := rq.w
	rq.mu.Unlock()
	if w == nil || rq.openOffered(w, r) != nil || rq.prepare() != nil {
		return h
	}
	rq.creds.Presented().HideOffers(r, h)
	rq.mu.Lock()
	rq.response.cookiesTaken = true
	rq.mu.Unlock()
	rq.creds.CopyTo(h)
	return h
}

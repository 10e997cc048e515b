package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// request is the state of one HTTP request. It is the request's context, too.
type request struct {
	context.Context
	b     *Bridge
	creds opening.Exchange // what the request presents, and what its response sets

	mu        sync.Mutex
	r         *http.Request       // nil once the handler has returned: a connection's context outlives it
	w         http.ResponseWriter // the one below the Bridge's; nil likewise
	outer     http.Header         // set by handlers outside of Bridge.Handler; nil for none
	handshake bool                // concurrent ones share one load of the session
	opening   ctxlock.Lock        // one goroutine opens the session; nil until it is needed
	session   *Session
	created   bool // the request has created its session
	response  response
	hijacked  net.Conn // by an upgrade
	connID    string   // of the connection that it becomes; "": a UUID

	later   []func()            // called when the response has been sent
	gorilla *gorillastore.Reads // what Gorilla() has read
}

// response is how far the response to a request has come.
type response struct {
	status       int   // 0 until the handler sets it
	sent         bool  // the first byte has left
	cookiesTaken bool  // by the caller of HandshakeHeader
	handled      bool  // the handler has returned
	failed       error // the client gets this error instead of the handler's response
	torn         bool  // the client has a part of the handler's response, which must not be completed
}

func (b *Bridge) newRequest(w http.ResponseWriter, r *http.Request) *request {
	rq := &request{Context: r.Context(), b: b, r: r, w: w}
	b.opts.tellIgnored(r)
	if h := w.Header(); len(h) > 0 {
		rq.outer = h.Clone()
	}
	if b.opener.Begin(&rq.creds, r, b.opts.secure(r)) {
		rq.reportForged(r.Context())
	}
	return rq
}

// Keys of values in contexts.
type (
	requestKey  struct{ b *Bridge } // → *request, of that Bridge
	identityKey struct{}            // → identity, of the innermost Bridge
)

// identity answers ClientIDFrom and SessionIDFrom.
type identity interface {
	askClient() string
	openedSession() string
}

// Value implements context.Context.
func (rq *request) Value(key any) any {
	switch k := key.(type) {
	case requestKey:
		if k.b == rq.b {
			return rq
		}
	case identityKey:
		return identity(rq)
	}
	return rq.Context.Value(key)
}

// requestOf returns b's request that has the context.
func (b *Bridge) requestOf(ctx context.Context) (*request, error) {
	rq, ok := ctx.Value(requestKey{b}).(*request)
	if !ok {
		return nil, ErrNoMiddleware
	}
	return rq, nil
}

// errOtherRequest: the context belongs to another request.
var errOtherRequest = fmt.Errorf("%w: it has the context of another request, and other cookies", ErrNoMiddleware)

// requestFor returns b's request for r. Sub-requests and proxies make requests with the context of
// another one: such a request is treated as that one, unless it presents other credentials, which
// is errOtherRequest.
func (b *Bridge) requestFor(r *http.Request) (*request, error) {
	rq, err := b.requestOf(r.Context())
	if err != nil {
		return nil, err
	}
	if outer := rq.current(); outer != nil && rq.creds.Presented().Differs(outer, r) {
		return nil, errOtherRequest
	}
	return rq, nil
}

// covers reports whether r is the request itself, or continues with its session, and needs no
// request of its own.
func (rq *request) covers(r *http.Request) bool {
	outer := rq.current()
	return outer != nil && !rq.creds.Presented().Differs(outer, r)
}

// current returns the request while its handler runs, and nil afterwards.
func (rq *request) current() *http.Request {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.r
}

// ClientIDFrom returns the ID of the client in the context of a request or a connection. The
// response to a request whose handler calls it carries Vary: Cookie, and sets the client cookie if
// there is none yet and caches may not store the response.
func ClientIDFrom(ctx context.Context) (string, bool) {
	w, ok := ctx.Value(identityKey{}).(identity)
	if !ok {
		return "", false
	}
	return w.askClient(), true
}

// SessionIDFrom returns the ID of the session in the context of a request or a connection, once it
// has been opened. A token that a login has replaced opens no session.
func SessionIDFrom(ctx context.Context) (string, bool) {
	w, ok := ctx.Value(identityKey{}).(identity)
	if !ok {
		return "", false
	}
	id := w.openedSession()
	return id, id != ""
}

func (rq *request) askClient() string { return rq.creds.AskClient() }

func (rq *request) openedSession() string {
	s := rq.opened()
	if s == nil || s.proof.Hidden() { // a replaced token has opened nothing
		return ""
	}
	return s.ID()
}

func (rq *request) opened() *Session {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.session
}

// coalesceLoads makes the request share its load of the session with concurrent ones, as
// handshakes do.
func (rq *request) coalesceLoads() {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.handshake = true
}

func (rq *request) isHandshake() bool {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.handshake
}

func (rq *request) headersSent() bool {
	rq.mu.Lock()
	sent, w := rq.response.sent || rq.response.cookiesTaken, rq.w
	rq.mu.Unlock()
	return sent || responsewriter.Begun(w)
}

func (rq *request) wroteHeaders() bool {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.response.sent
}

func (rq *request) failure() error {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.response.failed
}

// setFailed notes that the client gets err instead of the handler's response.
func (rq *request) setFailed(err error) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.response.failed, rq.response.sent = err, true
}

// afterResponse calls do when the response has been sent, at once if it has been.
func (rq *request) afterResponse(do func()) {
	rq.mu.Lock()
	over := rq.r == nil
	if !over {
		rq.later = append(rq.later, do)
	}
	rq.mu.Unlock()
	if over {
		do()
	}
}

// addr and userAgent return what a record stores about its user's client.
func (rq *request) addr() string {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.r == nil {
		return ""
	}
	return rq.b.opts.addr(rq.r)
}

const maxUserAgent = 256

func (rq *request) userAgent() string {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.r == nil {
		return ""
	}
	agent := rq.r.UserAgent()
	return agent[:min(len(agent), maxUserAgent)]
}

// tell is failed for what the request's handler has no part in.
func (rq *request) tell(doing string, err error) {
	f := Failure{Doing: doing, Err: err}
	if s := rq.opened(); s != nil {
		f.SessionID = s.id
	}
	rq.b.failed(rq, slog.LevelError, f)
}

// String has the context package print a request's context by its name, and Format fmt.
func (rq *request) String() string { return "bridge.request" }

func (rq *request) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, rq.String()) }

// upgrades reports whether the request asks for another protocol.
func upgrades(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || r.Method == http.MethodConnect
}

// setCookies writes the credentials that are due to the header of the response.
func (rq *request) setCookies(h http.Header) error {
	rq.mu.Lock()
	s := rq.session
	to := credentials.Response{
		Request: rq.r,
		Status:  rq.response.status,
		Asked:   s != nil || rq.opening != nil,
		Opened:  s != nil,
		Created: rq.created,
	}
	rq.mu.Unlock()
	to.Guest = to.Created && s != nil && s.UserID() == ""
	effects, err := rq.creds.WriteTo(h, to)
	if effects.Withheld {
		rq.b.opts.Logger.LogAttrs(rq, slog.LevelInfo,
			"session cookie not set: the request comes from another site, "+
				"without the cookies that the browser may have")
	}
	if effects.Overruled {
		rq.b.tellOverruled(rq)
	}
	return err
}

// tellOverruled logs that a handler's Cache-Control was overruled because of a credential, once in
// the life of the Bridge.
func (b *Bridge) tellOverruled(ctx context.Context) {
	if !b.overrule.Swap(true) {
		b.opts.Logger.LogAttrs(ctx, slog.LevelWarn,
			"a response that its handler lets caches store had to set the session cookie or another credential: "+
				"it is sent with Cache-Control: private, no-store; don't change the session in such a handler (logged once)")
	}
}

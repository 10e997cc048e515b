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
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
	"github.com/sessionbridge/sessionbridge/internal/opening"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// request is the state of one HTTP request, and the context of its handler.
type request struct {
	context.Context
	b      *Bridge
	creds  opening.Exchange // the credentials of the request and of its response
	forged bool             // it came with a session credential, but none whose signature holds

	mu        sync.Mutex
	r         *http.Request       // nil once the handler has returned: a connection's context outlives it
	w         http.ResponseWriter // the one below the Bridge's; nil likewise
	outer     http.Header         // set by handlers outside of Bridge.Handler; nil for none
	handshake bool                // concurrent ones share one load of the session
	opening   ctxlock.Lock        // held by the goroutine that opens the session
	asked     bool                // the response depends on the session: opening has been locked
	session   *Session
	created   bool          // the request has created its session
	missing   MissingReason // of the session that its credentials name; "": there is one, or none was opened
	imported  bool          // the session is one of Options.Import: no credential of the Bridge opens it
	response  response
	hijacked  net.Conn // by an upgrade

	later   []func()            // to be called after the response
	gorilla *gorillastore.Reads // the sessions that Gorilla() has read
}

// response is the progress of the response to a request.
type response struct {
	status       int   // 0 until the handler sets it
	sent         bool  // the first byte has been sent
	cookiesTaken bool  // by the caller of HandshakeHeader
	handled      bool  // the handler has returned
	failed       error // the client gets this error instead of the handler's response
	torn         bool  // the client has a part of the handler's response, which must not be completed
}

func (b *Bridge) newRequest(w http.ResponseWriter, r *http.Request) *request {
	rq := &request{Context: r.Context(), b: b, r: r, w: w}
	b.opts.site.TellIgnored(r)
	if h := w.Header(); len(h) > 0 {
		rq.outer = h.Clone()
	}
	if rq.forged = b.opener.Begin(&rq.creds, r, b.opts.site.Secure(r)); rq.forged {
		rq.reportForged()
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

// String and Format print the context without its values.
func (rq *request) String() string { return "bridge.request" }

func (rq *request) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, rq.String()) }

// requestOf returns b's request that has the context.
func (b *Bridge) requestOf(ctx context.Context) (*request, error) {
	rq, ok := ctx.Value(requestKey{b}).(*request)
	if !ok {
		return nil, ErrNoMiddleware
	}
	return rq, nil
}

// requestFor returns b's request for r. Sub-requests and proxies make requests with the context of
// another one: such a request is treated as that one, or is an ErrOtherRequest if it presents other
// credentials.
func (b *Bridge) requestFor(r *http.Request) (*request, error) {
	rq, err := b.requestOf(r.Context())
	if err != nil {
		return nil, err
	}
	if outer := rq.current(); outer != nil && rq.creds.Presented().Differs(outer, r) {
		return nil, errorcodes.ErrOtherRequest
	}
	return rq, nil
}

// ClientIDFrom returns the ID of the client in the context of a request or a connection. The
// response to a request whose handler calls it carries Vary: Cookie, and sets the client cookie if
// there is none yet and caches may not store the response.
func ClientIDFrom(ctx context.Context) (string, bool) {
	from, ok := ctx.Value(identityKey{}).(identity)
	if !ok {
		return "", false
	}
	return from.askClient(), true
}

// SessionIDFrom returns the ID of the session in the context of a request or a connection, once it
// has been opened. A token that a login has replaced opens no session.
func SessionIDFrom(ctx context.Context) (string, bool) {
	from, ok := ctx.Value(identityKey{}).(identity)
	if !ok {
		return "", false
	}
	id := from.openedSession()
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

// current returns the request while its handler runs, and nil afterwards.
func (rq *request) current() *http.Request {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.r
}

// opened returns the Session, nil if it has not been opened.
func (rq *request) opened() *Session {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.session
}

// sessionID returns the ID of the Session for log lines and failures, "" if it has not been opened.
func (rq *request) sessionID() string {
	if s := rq.opened(); s != nil {
		return s.id
	}
	return ""
}

// progress returns a copy of rq.response.
func (rq *request) progress() response {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.response
}

func (rq *request) wroteHeaders() bool { return rq.progress().sent }

func (rq *request) failure() error { return rq.progress().failed }

// setFailed records that the client gets err instead of the handler's response.
func (rq *request) setFailed(err error) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.response.failed, rq.response.sent = err, true
}

// headersSent reports whether no cookie can be set any more.
func (rq *request) headersSent() bool {
	rq.mu.Lock()
	sent, w := rq.response.sent || rq.response.cookiesTaken, rq.w
	rq.mu.Unlock()
	return sent || responsewriter.Begun(w)
}

// coalesceLoads makes the request share the load of its session with concurrent handshakes.
func (rq *request) coalesceLoads() {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.handshake = true
}

// afterResponse calls do when the response has been sent, at once if it has been.
func (rq *request) afterResponse(do func()) {
	rq.mu.Lock()
	closed := rq.r == nil
	if !closed {
		rq.later = append(rq.later, do)
	}
	rq.mu.Unlock()
	if closed {
		do()
	}
}

// addr returns the client's address; "" once the handler has returned. Records, events and lists
// show recordedAddr.
func (rq *request) addr() string {
	if r := rq.current(); r != nil {
		return rq.b.opts.site.Addr(r)
	}
	return ""
}

func (rq *request) recordedAddr() string { return rq.b.records.Addr(rq.addr()) }

// userAgent returns what is recorded of the client's User-Agent header; "" once the handler has
// returned.
func (rq *request) userAgent() string {
	if r := rq.current(); r != nil {
		return rq.b.records.UserAgent(r.UserAgent())
	}
	return ""
}

// reportFailure reports a failure that the handler doesn't learn of.
func (rq *request) reportFailure(doing string, err error) {
	rq.b.report.Failed(rq, slog.LevelError, doing, rq.sessionID(), err)
}

// setCookies writes the credentials of the response to its header.
func (rq *request) setCookies(h http.Header) error {
	rq.mu.Lock()
	s := rq.session
	to := credentials.Response{
		Request: rq.r,
		Status:  rq.response.status,
		Asked:   s != nil || rq.asked,
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
	if effects.Overruled && !rq.b.overrule.Swap(true) {
		rq.b.opts.Logger.LogAttrs(rq, slog.LevelWarn,
			"a response that its handler lets caches store had to set the session cookie or another credential: "+
				"it is sent with Cache-Control: private, no-store; don't change the session in such a handler (logged once)")
	}
	return err
}

package bridge

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gorillastore"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
	"github.com/sessionbridge/sessionbridge/store"
)

// request is the state of one HTTP request. It is the request's context, too.
type request struct {
	context.Context
	b     *Bridge
	began time.Time

	mu           sync.Mutex
	r            *http.Request       // nil once the handler has returned: a connection's context outlives it
	w            http.ResponseWriter // the one below the Bridge's; nil likewise
	outer        http.Header         // set by handlers outside of Bridge.Handler; nil for none
	coalesceLoad bool                // it is a handshake: concurrent ones share one load of the session
	newest       string              // the client's session when the request came
	presented    credentials.Presented
	answer       credentials.Answer
	mismatched   bool         // the session came with another client's cookie, or with none
	opening      ctxlock.Lock // one goroutine opens the session; nil until it is needed
	session      *Session

	sent         bool     // the first byte has left
	cookiesTaken bool     // by the caller of HandshakeHeader
	failed       error    // the client gets this error instead of the handler's response
	torn         bool     // the client has a part of the handler's response, which must not be completed
	handled      bool     // the handler has returned
	hijacked     net.Conn // by an upgrade
	connID       string   // of the connection that it becomes; "": a UUID

	fresh  bool // the request has created its session
	passed bool // a session was skipped because its newer token is on its way to the browser
	outrun bool // it presents a token that was replaced a moment ago, and opens nothing
	status int  // of the response; 0 until the handler sets it

	rejected CredentialRejected // why the session was not opened; no Credential: it was, or was not asked for

	later   []func()            // called when the response has been sent
	gorilla *gorillastore.Reads // what Gorilla() has read
}

func (b *Bridge) newRequest(w http.ResponseWriter, r *http.Request) *request {
	rq := &request{Context: r.Context(), b: b, r: r, w: w, began: time.Now()}
	b.opts.tellIgnored(r)
	if h := w.Header(); len(h) > 0 {
		rq.outer = h.Clone()
	}
	forged := b.codec.Read(&rq.presented, r, b.opts.secure(r))
	rq.answer.Begin(&rq.presented)
	if cookie, ok := rq.presented.LikelyClient(b.clients.ClientOf); ok {
		rq.useClient(cookie)
	} else {
		rq.answer.NewClient(uuid.NewString())
	}
	if forged { // the event names the client
		rq.refusedForged(r.Context())
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
	if outer := rq.current(); outer != nil && rq.presented.Differs(outer, r) {
		return nil, errOtherRequest
	}
	return rq, nil
}

// covers reports whether r is the request itself, or continues with its session, and needs no
// request of its own.
func (rq *request) covers(r *http.Request) bool {
	outer := rq.current()
	return outer != nil && !rq.presented.Differs(outer, r)
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

func (rq *request) askClient() string {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.answer.AskClient()
	return rq.answer.ClientID()
}

func (rq *request) openedSession() string {
	s := rq.opened()
	if s == nil || s.tokenState != nil && s.shut.Load() { // a replaced token has opened nothing
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
	rq.coalesceLoad = true
}

func (rq *request) coalescesLoads() bool {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.coalesceLoad
}

func (rq *request) headersSent() bool {
	rq.mu.Lock()
	sent, w := rq.sent || rq.cookiesTaken, rq.w
	rq.mu.Unlock()
	return sent || responsewriter.Begun(w)
}

func (rq *request) wroteHeaders() bool {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.sent
}

func (rq *request) failure() error {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.failed
}

func (rq *request) setCookie(cred credentials.Session, lifetime time.Duration) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.answer.SetSession(cred, lifetime)
}

// clearSite tells the browser to forget what Options.ClearSiteData names, if the headers haven't
// been sent.
func (rq *request) clearSite() {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.answer.ClearSite()
}

func (rq *request) removeCookie() {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.answer.RemoveSession()
}

func (rq *request) newestBefore() string {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.newest
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

// newSession returns a session that is not stored yet, with a new ID and a new token.
func (rq *request) newSession(now time.Time) (*Session, error) {
	opts := rq.b.opts
	next := credentials.NewToken()
	rq.mu.Lock()
	clientID := rq.answer.ClientID()
	rq.fresh = true
	rq.mu.Unlock()
	s, err := rq.b.newSession(store.Record{
		ID:              uuid.NewString(),
		TokenHash:       next.Hash(),
		TokenGeneration: 1,
		ClientID:        clientID,
		Addr:            rq.addr(),
		UserAgent:       rq.userAgent(),
		Data:            []byte("{}"),
		Created:         now,
		Idle:            limit(opts.IdleTimeout),
		Lifetime:        limit(opts.Lifetime),
	}, &origin{via: ViaHTTP, request: rq})
	if err == nil {
		s.nextToken = next
	}
	return s, err
}

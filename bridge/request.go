package bridge

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

// request is what a Bridge knows of one HTTP request. It is the request's context, too.
type request struct {
	context.Context
	b     *Bridge
	began time.Time

	mu         sync.Mutex
	r          *http.Request       // nil when the handler has returned, so that a connection's context doesn't keep it
	w          http.ResponseWriter // the one below ours; nil likewise
	outer      http.Header         // the headers that those outside of Handler had set; nil for none
	shares     bool                // it is a handshake, which shares its look at the session with others
	newest     string              // session of the client when the request came
	presented  credentials.Presented
	answer     credentials.Answer
	mismatched bool          // the session came with another client's cookie, or none
	opening    chan struct{} // 1-slot lock: one goroutine opens the session
	session    *Session

	sent     bool     // the first byte has left
	handed   bool     // HandshakeHeader has handed the cookies out
	failed   error    // why the client gets an error instead of the handler's answer
	torn     bool     // the client has a part of the handler's answer, which is not to be completed
	handled  bool     // the handler has returned
	hijacked net.Conn // by an upgrade
	connID   string   // of the connection that it becomes; "" is a UUID

	fresh  bool // the request has made its session itself
	passed bool // it has passed over a session that has just got a newer token than it presents
	outrun bool // it presents a token that was replaced a moment ago, and opens nothing
	status int  // of the response; 0 until the handler says

	rejected CredentialRejected // why the session was not opened; without a Credential where it was, or nobody asked

	later   []func()                           // to do when the response has gone
	gorilla map[*sessions.Session]*gorillaRead // what Gorilla() has read
}

func (b *Bridge) newRequest(w http.ResponseWriter, r *http.Request) *request {
	rq := &request{Context: r.Context(), b: b, r: r, w: w, began: time.Now()}
	b.opts.tellIgnored(r)
	if h := w.Header(); len(h) > 0 {
		rq.outer = h.Clone()
	}
	forged := b.codec.Read(&rq.presented, r, b.opts.secure(r))
	rq.answer.Begin(&rq.presented)
	if len(rq.presented.Clients) == 0 {
		rq.answer.NewClient(uuid.NewString())
	} else {
		rq.beClient(rq.likelyClient())
	}
	if forged { // the event names the client
		rq.refusedForged(r.Context())
	}
	return rq
}

// Keys of values in contexts.
type (
	requestKey struct{ b *Bridge } // → *request, of that Bridge
	whoKey     struct{}            // → who, of the innermost Bridge
)

// who is what ClientIDFrom and SessionIDFrom ask.
type who interface {
	whoClient() string
	whoSession() string
}

// Value implements context.Context.
func (rq *request) Value(key any) any {
	switch k := key.(type) {
	case requestKey:
		if k.b == rq.b {
			return rq
		}
	case whoKey:
		return who(rq)
	}
	return rq.Context.Value(key)
}

// requestOf returns what b knows of the request with the context.
func (b *Bridge) requestOf(ctx context.Context) (*request, error) {
	rq, ok := ctx.Value(requestKey{b}).(*request)
	if !ok {
		return nil, ErrNoMiddleware
	}
	return rq, nil
}

// ClientIDFrom returns the ID of the client in the context of a request or a connection. A response whose handler asks for it sets the client cookie
// if there is none yet and caches may not keep the response, and carries Vary: Cookie.
func ClientIDFrom(ctx context.Context) (string, bool) {
	w, ok := ctx.Value(whoKey{}).(who)
	if !ok {
		return "", false
	}
	return w.whoClient(), true
}

// SessionIDFrom returns the ID of the session in the context of a request or a connection, once it has been opened. A token that a login has replaced has opened none.
func SessionIDFrom(ctx context.Context) (string, bool) {
	w, ok := ctx.Value(whoKey{}).(who)
	if !ok {
		return "", false
	}
	id := w.whoSession()
	return id, id != ""
}

func (rq *request) whoClient() string {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.answer.AskClient()
	return rq.answer.ClientID()
}

func (rq *request) whoSession() string {
	s := rq.opened()
	if s == nil || s.secret != nil && s.shut.Load() { // a replaced token has opened nothing
		return ""
	}
	return s.ID()
}

func (rq *request) opened() *Session {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.session
}

// shareLoads makes the request one that shares its look at the session with others, as handshakes do.
func (rq *request) shareLoads() {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.shares = true
}

func (rq *request) sharesLoads() bool {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.shares
}

func (rq *request) headersSent() bool {
	rq.mu.Lock()
	sent, w := rq.sent || rq.handed, rq.w
	rq.mu.Unlock()
	return sent || responseBegun(w)
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

// clearSite has the browser forget what Options.ClearSiteData says, if the headers haven't left.
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

// afterResponse has do called when the response has gone; now, if it has.
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

// addr and userAgent are what a record says of where its user is.
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

// newSession makes a session that is not stored yet, with an ID and a token that nobody has seen.
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

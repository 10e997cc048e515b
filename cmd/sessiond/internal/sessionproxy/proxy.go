package sessionproxy

import (
	"cmp"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/erroranswer"
	"github.com/sessionbridge/sessionbridge/internal/forwarded"
)

// Requirement is what a request needs to reach the backend.
type Requirement string

// The requirements.
const (
	RequireNone    Requirement = "none"    // nothing: without a session the headers are empty
	RequireSession Requirement = "session" // a session, also of a guest
	RequireLogin   Requirement = "login"   // a session of a user
)

// DefaultMaxMessage is the default of Options.MaxMessageBytes.
const DefaultMaxMessage = 1 << 20

// Options is how a Proxy behaves. A zero field means its default.
type Options struct {
	// Backend is the URL of the backend: http or https, a host, and perhaps a path that comes before
	// those of the requests. Required.
	Backend *url.URL
	// Headers are values of the session that the backend gets besides X-Session-Id and X-Session-User.
	Headers admin.ForwardAuth
	// Require is what a request needs; otherwise it is answered with 401. Default: RequireNone.
	Require Requirement
	// TrustBackend lets the backend log users in and out and set values: see docs/sessiond.md.
	// Default: false, the headers for that are removed and have no effect.
	TrustBackend bool
	// MaxMessageBytes limits a message of a client on a WebSocket. Default: DefaultMaxMessage.
	MaxMessageBytes int64
	// Heartbeat is how often a client on a WebSocket gets a ping: see bridge.Link.Heartbeat. Default: 30 s.
	Heartbeat time.Duration
	// Logger receives failures of the backend. Default: slog.Default().
	Logger *slog.Logger
}

// Proxy passes requests on to a backend. It is an http.Handler.
type Proxy struct {
	b         *bridge.Bridge
	opts      Options
	handler   http.Handler
	transport *http.Transport
	errorLog  *log.Logger
	proxies   forwarded.Proxies
	names     []string // of the Bridge's cookies
	reserved  map[string]bool
	ignored   sync.Once
}

// New returns a Proxy whose sessions are those of b. An error names the option that is invalid.
func New(b *bridge.Bridge, opts Options) (*Proxy, error) {
	u := opts.Backend
	if u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("sessionproxy: Backend must be a URL of http or https, without a user and a query")
	}
	opts.Require = cmp.Or(opts.Require, RequireNone)
	switch opts.Require {
	case RequireNone, RequireSession, RequireLogin:
	default:
		return nil, fmt.Errorf("sessionproxy: Require: %q is not none, session or login", opts.Require)
	}
	opts.MaxMessageBytes = cmp.Or(opts.MaxMessageBytes, DefaultMaxMessage)
	opts.Logger = cmp.Or(opts.Logger, slog.Default())
	of := b.Options()
	p := &Proxy{b: b, opts: opts, names: []string{of.Name, of.ClientName}, reserved: make(map[string]bool)}
	var err error
	if p.proxies, _, err = forwarded.New(of.TrustedProxies, forwarded.Headers(of.ProxyHeaders)); err != nil {
		return nil, err
	}
	for name := range opts.Headers.Values {
		p.reserved[spelling(name)] = true
	}
	p.transport = &http.Transport{ // without a proxy of the environment
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 100,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // bodies pass as they are
	}
	p.errorLog = slog.NewLogLogger(opts.Logger.Handler(), slog.LevelWarn)
	p.handler = b.Handler(http.HandlerFunc(p.serve))
	return p, nil
}

// Close closes idle connections to the backend.
func (p *Proxy) Close() { p.transport.CloseIdleConnections() }

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// serve passes a request on if it may pass.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	if !p.isBelow(r) {
		erroranswer.Write(w, r.Header["Accept"], http.StatusBadRequest, "The proxy doesn't pass on such a request.")
		return
	}
	socket := isSocket(r)
	if socket { // before a page of another site reaches the backend
		if err := p.b.CheckOrigin(r); err != nil {
			p.b.WriteError(w, r, err)
			return
		}
	}
	s, err := p.open(r)
	if err != nil {
		p.b.WriteError(w, r, err)
		return
	}
	x := newExchange(p, w, r, s)
	defer x.cancel(nil)
	if socket {
		x.socket()
		return
	}
	r.Header.Del("Upgrade")                // a protocol that the proxy can't end with the session
	r.Header.Del("Sec-Websocket-Protocol") // perhaps credentials
	(&httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		ModifyResponse: x.receive,
		ErrorHandler:   x.fail,
		Transport:      informed{p.transport, p},
		ErrorLog:       p.errorLog,
	}).ServeHTTP(w, x.r)
}

// open opens the session of a request, which is new if there is none, unless one is required.
func (p *Proxy) open(r *http.Request) (*bridge.Session, error) {
	s, err := p.b.Session(r)
	if err == nil {
		err = s.Err()
	}
	switch {
	case err != nil:
		return nil, err
	case p.opts.Require != RequireNone && s.IsNew(), p.opts.Require == RequireLogin && s.UserID() == "":
		return nil, bridge.ErrSessionMissing
	}
	return s, nil
}

// isBelow reports whether a request is for something below the backend's URL: its target isn't that
// of another server, and its path doesn't lead out of that of the URL.
func (p *Proxy) isBelow(r *http.Request) bool {
	if r.Method == http.MethodConnect || r.URL.Opaque != "" {
		return false
	}
	if strings.Trim(p.opts.Backend.Path, "/") == "" {
		return true
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(r.URL.Path, `\`, "/"), "/") {
		if name, _, _ := strings.Cut(segment, ";"); name == ".." { // some servers ignore what follows ";"
			return false
		}
	}
	return true
}

// isSocket reports whether the request is the handshake of a WebSocket.
func isSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		strings.Contains(strings.ToLower(strings.Join(r.Header["Connection"], ",")), "upgrade")
}

package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/sessionbridge/sessionbridge/admin/internal/dashboard"
	"github.com/sessionbridge/sessionbridge/bridge"
)

// Handler returns the API over b, and over Options.Apps, and at /dashboard/ a page that uses it. Nil
// opts are all defaults. It may be mounted anywhere with http.StripPrefix; the routes begin with
// /v1/. The Bridges stay the caller's, who shuts them down: until then the handler collects their
// events, and streams of events end only then or with their client. An error names the option that
// is invalid; without Keys an Options.Addr beyond this machine is one.
//
// Errors are answered with problem details (RFC 9457). No answer may be cached, and none is for web
// pages of other sites: there are no CORS headers.
func Handler(b *bridge.Bridge, opts *Options) (http.Handler, error) {
	if b == nil {
		return nil, errNoBridge
	}
	s, err := withDefaults(b, opts)
	if err != nil {
		return nil, err
	}
	return newAPI(s), nil
}

// api is the handler.
type api struct {
	opts   settings
	mux    *http.ServeMux
	page   http.Handler // of the dashboard, below /dashboard/
	guard  guard
	limits *limits
	live   map[string]live // by the name of the app

	streams    context.Context // of the streams of events
	endStreams context.CancelFunc
}

func newAPI(s settings) *api {
	a := &api{opts: s, mux: http.NewServeMux(), guard: newGuard(s.Keys), limits: newLimits(&s), live: liveOf(s.apps)}
	a.streams, a.endStreams = context.WithCancel(context.Background())
	byPattern := make(map[string]map[string]*route)
	for _, r := range routes() {
		if byPattern[r.pattern] == nil {
			byPattern[r.pattern] = make(map[string]*route)
		}
		byPattern[r.pattern][r.method] = &r
	}
	for pattern, methods := range byPattern {
		a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, methods) })
	}
	a.page = http.StripPrefix("/dashboard", dashboard.Handler())
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, nil) })
	return a
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch p := r.URL.EscapedPath(); {
	case p == "/dashboard":
		h.Set("Location", "dashboard/") // relative, as the API may be mounted anywhere
		w.WriteHeader(http.StatusSeeOther)
		return
	case strings.HasPrefix(p, "/dashboard/") && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		a.page.ServeHTTP(w, r)
		return
	case r.Method == http.MethodConnect || !strings.HasPrefix(p, "/") || path.Clean(p) != p:
		a.serve(w, r, nil) // the ServeMux would redirect
		return
	}
	a.mux.ServeHTTP(w, r)
}

// serve handles a request to a pattern that has routes for these methods; nil if there is none.
func (a *api) serve(w http.ResponseWriter, r *http.Request, methods map[string]*route) {
	c := &call{api: a, w: w, r: r}
	rt := methods[r.Method]
	if rt == nil && r.Method == http.MethodHead {
		rt = methods[http.MethodGet]
	}
	c.route = rt
	err := a.admit(c)
	if err == nil {
		c.admitted = true
		err = a.dispatch(c, methods)
	}
	answered := err == nil || c.fail(err)
	c.audit()
	if !answered {
		panic(http.ErrAbortHandler) // net/http cuts the connection, so that the caller notices
	}
}

// admit returns an error unless the caller may call the route, whichever it is.
func (a *api) admit(c *call) error {
	need := ScopeRead
	if c.route != nil {
		need = c.route.scope
	}
	if need != ScopeAuth && !a.limits.addr(c.r.RemoteAddr) {
		return tooMany("There are too many requests from this address.")
	}
	if c.route != nil && (c.route.open || need == ScopeAuth && a.opts.ForwardAuth.WithoutKey) {
		return nil
	}
	return a.guard.admit(a, c, need)
}

// dispatch calls the route.
func (a *api) dispatch(c *call, methods map[string]*route) error {
	switch {
	case methods == nil:
		return &problem{Status: http.StatusNotFound, Detail: "There is no such resource."}
	case c.route == nil:
		allowed := make([]string, 0, len(methods)+1)
		for m := range methods {
			allowed = append(allowed, m)
			if m == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
		slices.Sort(allowed)
		c.w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &problem{Status: http.StatusMethodNotAllowed, Detail: "The resource has no such method."}
	}
	if name := c.r.PathValue("app"); strings.Contains(c.route.pattern, "{app}") {
		b := a.opts.apps[name]
		if b == nil || !c.key.isFor(name) {
			return &problem{Status: http.StatusNotFound, Detail: "There is no such app."}
		}
		c.app, c.b = name, b
	}
	var err error
	if c.params, err = c.query(c.route.params); err != nil {
		return err
	}
	return c.route.handle(c)
}

// logger returns the Logger as it is now.
func (a *api) logger() *slog.Logger {
	if a.opts.Logger != nil {
		return a.opts.Logger
	}
	return slog.Default()
}

var errAborted = errors.New("admin: the answer could not be completed")

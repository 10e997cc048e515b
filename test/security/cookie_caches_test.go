package security_test

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// cache is a shared cache that stores every response that it may (RFC 9111 §3). It respects Vary
// or, like many, ignores it.
type cache struct {
	below      http.Handler
	ignoreVary bool
	stored     map[string]*httptest.ResponseRecorder
}

func (c *cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hit := c.stored[c.key(r, c.stored["vary "+r.URL.Path])]
	if hit == nil {
		hit = httptest.NewRecorder()
		c.below.ServeHTTP(hit, r)
		control := strings.Join(hit.Header()["Cache-Control"], ",")
		if cdn := hit.Header().Get("CDN-Cache-Control"); cdn != "" {
			control = cdn
		}
		if !strings.Contains(control, "no-store") && !strings.Contains(control, "private") && control != "" {
			c.stored["vary "+r.URL.Path] = hit
			c.stored[c.key(r, hit)] = hit
		}
	}
	maps.Copy(w.Header(), hit.Header())
	w.WriteHeader(hit.Code)
	_, _ = w.Write(hit.Body.Bytes())
}

func (c *cache) key(r *http.Request, like *httptest.ResponseRecorder) string {
	key := r.URL.Path
	if like != nil && !c.ignoreVary {
		for name := range strings.SplitSeq(strings.Join(like.Header()["Vary"], ","), ",") {
			key += "|" + strings.Join(r.Header[http.CanonicalHeaderKey(strings.TrimSpace(name))], ";")
		}
	}
	return key
}

// setting adds header lines to the handler's responses: names and values in turn.
func setting(h http.Handler, lines ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(lines); i += 2 {
			w.Header().Add(lines[i], lines[i+1])
		}
		h.ServeHTTP(w, r)
	})
}

// Headers of handlers that want their response stored by caches.
var cacheable = [][]string{
	{"Cache-Control", "public, max-age=31536000"},
	{"Cache-Control", "public, max-age=31536000, immutable"},
	{"Cache-Control", "Public"},
	{"Cache-Control", "s-maxage=60"},
	{"Cache-Control", "max-age=60, S-MaxAge=60"},
	{"Cache-Control", "private, max-age=60, immutable"},
	{"Cache-Control", "max-age=60"},
	{"Cache-Control", `private="X-User", max-age=60`},
	{"Cache-Control", "must-revalidate", "Cache-Control", "public"},
	{"Expires", "Fri, 01 Jan 2100 00:00:00 GMT"},
	{"Cache-Control", "private", "CDN-Cache-Control", "max-age=60"},
	{"Cache-Control", "no-store", "Surrogate-Control", "max-age=60"},
	{"Cloudflare-CDN-Cache-Control", "max-age=60"},
	{"Edge-Control", "max-age=60"},
	{"X-Accel-Expires", "60"},
}

// Headers of handlers that don't.
var uncacheable = [][]string{
	{},
	{"Cache-Control", "no-store"},
	{"Cache-Control", "private, max-age=60"},
	{"Cache-Control", "no-cache"},
	{"Cache-Control", "max-age=0, must-revalidate"},
	{"Expires", "0"},
	{"Expires", "Fri, 01 Jan 1999 00:00:00 GMT"},
	{"Cache-Control", "no-store", "CDN-Cache-Control", "no-store"},
	{"X-Accel-Expires", "0"},
}

// cachedApp has the pages of slotApp behind a handler that sets the lines.
func cachedApp(t *testing.T, opts bridge.Options, lines ...string) (h http.Handler, inside http.Handler) {
	t.Helper()
	b, _ := slotApp(t, livestore.New(), opts)
	mux := testkit.NewMux(b)
	mux.HandleFunc("/client", func(w http.ResponseWriter, r *http.Request) {
		id, _ := bridge.ClientIDFrom(r.Context())
		_, _ = w.Write([]byte(id))
	})
	return setting(b.Handler(mux), lines...), b.Handler(setting(mux, lines...))
}

func TestS16_NoClientCookieWhereCachesMayKeepTheResponse(t *testing.T) {
	for _, lines := range cacheable {
		for _, eager := range []bool{false, true} {
			outside, inside := cachedApp(t, bridge.Options{EagerClient: eager}, lines...)
			for _, h := range []http.Handler{outside, inside} {
				for _, path := range []string{"/client", "/plain", "/get"} {
					for _, method := range []string{"GET ", "HEAD "} {
						w := newTab(t).visit(h, method+shop+path)
						require.Empty(t, w.Header()["Set-Cookie"], "%q %s", lines, path)
						for i := 0; i < len(lines); i += 2 {
							require.Contains(t, w.Header()[http.CanonicalHeaderKey(lines[i])], lines[i+1], "the handler's wish stays")
						}
					}
				}
			}
		}
	}
	for _, lines := range uncacheable {
		outside, inside := cachedApp(t, bridge.Options{}, lines...)
		for _, h := range []http.Handler{outside, inside} {
			w := newTab(t).visit(h, shop+"/client")
			require.Equal(t, []string{"sid.cid"}, names(w), "%q", lines)
			requireUncached(t, w)
		}
	}
}

// requireUncached checks that no shared cache may keep the response, whichever header it obeys.
func requireUncached(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	control := strings.ToLower(strings.Join(w.Header()["Cache-Control"], ", "))
	require.Condition(t, func() bool { return strings.Contains(control, "no-store") || strings.Contains(control, "private") }, control)
	for _, not := range []string{"public", "s-maxage", "immutable"} {
		require.NotContains(t, control, not)
	}
	for name, values := range w.Header() {
		if strings.HasSuffix(name, "-Cache-Control") {
			require.Equal(t, []string{"no-store"}, values)
		}
	}
	require.Empty(t, w.Header()["Surrogate-Control"])
	require.Contains(t, strings.Join(w.Header()["Vary"], ", "), "Cookie")
}

func TestS16_SessionCookieOverrulesCaching(t *testing.T) {
	for _, lines := range cacheable {
		outside, inside := cachedApp(t, bridge.Options{}, lines...)
		for _, h := range []http.Handler{outside, inside} {
			visitor := newTab(t)
			for _, path := range []string{"/inc", "/login?user=ada", "/rotate", "/logout"} {
				w := visitor.visit(h, shop+path)
				require.Equal(t, http.StatusOK, w.Code)
				require.NotEmpty(t, w.Header()["Set-Cookie"], "%q %s", lines, path)
				requireUncached(t, w)
				require.Empty(t, w.Header()["Expires"])
				require.Empty(t, w.Header()["X-Accel-Expires"])
				require.Empty(t, w.Header()["Edge-Control"])
				if slices.Contains(lines, "public, max-age=31536000") {
					require.Equal(t, []string{"private, no-store"}, w.Header()["Cache-Control"])
				}
			}
		}
	}
}

func TestS16_OverruledCachingIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	h, _ := cachedApp(t, bridge.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, "Cache-Control", "public")
	for range 3 {
		webclient.Pocket{}.Get(t, h, "/inc")
	}
	require.Equal(t, 1, strings.Count(log.String(), "private, no-store"), log.String())
	quiet, _ := cachedApp(t, bridge.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, "Cache-Control", "no-cache")
	webclient.Pocket{}.Get(t, quiet, "/inc")
	require.Equal(t, 1, strings.Count(log.String(), "private, no-store"), "this one wanted nothing stored")
}

// A 304 changes the headers of a cached response, so it sets no client cookie.
func TestS16_NoClientCookieWithNotModified(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "page.txt"), []byte("page"), 0o600))
	b, _ := slotApp(t, livestore.New(), bridge.Options{EagerClient: true})
	files := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bridge.ClientIDFrom(r.Context())
		http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
	}))
	visitor := newTab(t)
	w := visitor.ask(files, shop+"/page.txt", "If-Modified-Since", time.Now().UTC().Add(time.Hour).Format(http.TimeFormat))
	require.Equal(t, http.StatusNotModified, w.Code)
	require.Empty(t, w.Header()["Set-Cookie"])
	require.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
	require.Equal(t, []string{"sid.cid"}, names(visitor.visit(files, shop+"/page.txt")))
}

// Two browsers behind a cache that ignores Vary get the same files, and are two clients with
// different sessions.
func TestS16_BrowsersBehindACacheShareNoCredential(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.js"), []byte("script"), 0o600))
	for _, ignoreVary := range []bool{false, true} {
		for _, opts := range []bridge.Options{{}, {EagerClient: true}, {StrictBinding: true, EagerClient: true}} {
			b, _ := slotApp(t, livestore.New(), opts)
			mux := testkit.NewMux(b)
			files := http.FileServer(http.Dir(dir))
			mux.Handle("/app.js", files)
			mux.HandleFunc("/counted/", func(w http.ResponseWriter, r *http.Request) {
				s, err := b.Session(r)
				require.NoError(t, err)
				s.Set("last", r.URL.Path)
				http.StripPrefix("/counted", files).ServeHTTP(w, r)
			})
			mux.HandleFunc("/who", testkit.SessionPage(b, func(s *bridge.Session) (any, error) { return s.UserID(), nil }))
			front := &cache{b.Handler(setting(mux, "Cache-Control", "public, max-age=31536000")), ignoreVary, map[string]*httptest.ResponseRecorder{}}
			direct := b.Handler(mux)
			ada, bob := newTab(t), newTab(t)
			for _, visitor := range []*tab{ada, bob, ada, bob} {
				require.Equal(t, "script", visitor.ok(front, shop+"/app.js"))
				require.Equal(t, "script", visitor.ok(front, shop+"/counted/app.js"))
			}
			ada.ok(direct, shop+"/login?user=ada")
			require.Equal(t, "ada", ada.ok(direct, shop+"/who"))
			require.Empty(t, bob.ok(direct, shop+"/who"))
			bob.ok(direct, shop+"/login?user=bob")
			require.Equal(t, "ada", ada.ok(direct, shop+"/who"))
			require.Zero(t, b.Stats().Mismatches)
			require.Len(t, testkit.Listed(t, b, bridge.Filter{}), 2)
		}
	}
}

// A response that depends on the client or the session has Vary: Cookie, whether or not it sets a
// cookie.
func TestS16_WhatDependsOnCookiesVaries(t *testing.T) {
	st := teststore.NewFaulty()
	b, _ := slotApp(t, st, bridge.Options{})
	a := &testkit.App{Bridge: b, Mux: testkit.NewMux(b)}
	a.Page("/client", func(r *http.Request) (any, error) { id, _ := bridge.ClientIDFrom(r.Context()); return id, nil })
	a.Page("/session", func(r *http.Request) (any, error) {
		_, err := b.Session(r)
		id, _ := bridge.SessionIDFrom(r.Context())
		return id, err
	})
	a.Page("/anyway", func(r *http.Request) (any, error) { _, _ = b.Session(r); return "who knows", nil })
	a.Mux.Handle("/recent", b.RequireAuthAge(time.Minute, http.NotFoundHandler()))
	h := b.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	old := maps.Clone(p)
	for _, visitor := range []webclient.Pocket{p, {}} {
		for _, path := range []string{"/client", "/session", "/get", "/id", "/recent", "/anyway", "/inc"} {
			for range 2 {
				w := visitor.Get(t, h, path)
				require.Equal(t, []string{"Cookie"}, w.Header()["Vary"], path)
			}
		}
		require.Empty(t, visitor.Get(t, h, "/plain").Header()["Vary"])
	}
	p.Get(t, h, "/login?user=ada")
	w := maps.Clone(old).Get(t, h, "/anyway") // the session couldn't be opened, which depends on the cookie
	require.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
	w = maps.Clone(old).Get(t, h, "/get")
	require.Equal(t, http.StatusConflict, w.Code)
	require.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
	st.Always(teststore.Refuse(teststore.ErrOutage), "Get")
	w = p.Get(t, h, "/anyway")
	require.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
}

// The Bridge's own error answers are not cached, whatever headers an outer handler has set.
func TestS16_ErrorAnswersAreNotCached(t *testing.T) {
	for _, lines := range cacheable {
		st := teststore.NewFaulty()
		b, _ := slotApp(t, st, bridge.Options{})
		mux := testkit.NewMux(b)
		mux.HandleFunc("/set", testkit.SessionPage(b, func(s *bridge.Session) (any, error) { s.Set("k", "v"); return "set", nil }))
		h := setting(b.Handler(mux), lines...)
		st.Always(teststore.Refuse(teststore.ErrOutage), "Set")
		w := webclient.Pocket{}.Get(t, h, "/set")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, []string{"no-store"}, w.Header()["Cache-Control"], "%q", lines)
		for _, name := range []string{"Cdn-Cache-Control", "Surrogate-Control", "Cloudflare-Cdn-Cache-Control", "Edge-Control", "X-Accel-Expires", "Expires"} {
			require.Empty(t, w.Header()[name])
		}
	}
}

// A ticket, or a token for a client without cookies, is a credential like a cookie.
func TestS16_OtherCredentialsOverruleCaching(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), tokens())
	h := a.Handler(setting(a.Mux, "Cache-Control", "public, max-age=60"))
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	w := p.Get(t, h, "/ticket")
	require.Equal(t, []string{"private, no-store"}, w.Header()["Cache-Control"])
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/inc", nil)
	r.Header.Set("Authorization", "Bearer")
	w = webclient.Pocket{}.Send(h, r)
	require.NotEmpty(t, w.Header()["Session-Token"])
	require.Equal(t, []string{"private, no-store"}, w.Header()["Cache-Control"])
}

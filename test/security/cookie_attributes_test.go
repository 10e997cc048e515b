package security_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func overTLS(r *http.Request) { r.TLS = &tls.ConnectionState{} }

func viaProxy(proto string) func(*http.Request) {
	return func(r *http.Request) {
		r.RemoteAddr = "10.0.0.7:4711"
		r.Header.Set("X-Forwarded-Proto", proto)
	}
}

func TestS5_CookieAttributes(t *testing.T) {
	plain := func(*http.Request) {}
	for name, c := range map[string]struct {
		opts    bridge.Options
		prepare func(*http.Request)
		prefix  string // of both names
		has     []string
		hasNot  []string
	}{
		"plain HTTP": {prepare: plain, has: []string{"Path=/", "HttpOnly", "SameSite=Lax"}, hasNot: []string{"Secure", "Domain", "Partitioned"}},
		"TLS":        {prepare: overTLS, prefix: "__Host-", has: []string{"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}},
		"TLS with a domain": {
			opts: bridge.Options{Domain: "example.com"}, prepare: overTLS, has: []string{"Domain=example.com", "Secure", "HttpOnly"},
		},
		"TLS with a path": {opts: bridge.Options{Path: "/app"}, prepare: overTLS, has: []string{"Path=/app", "Secure", "HttpOnly"}},
		"always":          {opts: bridge.Options{Secure: bridge.SecureAlways}, prepare: plain, prefix: "__Host-", has: []string{"Secure", "HttpOnly"}},
		"never":           {opts: bridge.Options{Secure: bridge.SecureNever, DangerouslyInsecure: true}, prepare: overTLS, has: []string{"HttpOnly"}, hasNot: []string{"Secure"}},
		"a trusted proxy says https": {
			opts: bridge.Options{TrustedProxies: []string{"10.0.0.0/8"}}, prepare: viaProxy("https"), prefix: "__Host-", has: []string{"Secure"},
		},
		"the last proxy counts": {
			opts: bridge.Options{TrustedProxies: []string{"10.0.0.7"}}, prepare: viaProxy("https, http"), hasNot: []string{"Secure"},
		},
		"a trusted proxy says http": {
			opts: bridge.Options{TrustedProxies: []string{"10.0.0.7"}}, prepare: viaProxy("http"), hasNot: []string{"Secure"},
		},
		"somebody says https":             {prepare: viaProxy("https"), hasNot: []string{"Secure"}},
		"an untrusted address says https": {opts: bridge.Options{TrustedProxies: []string{"10.0.1.0/24"}}, prepare: viaProxy("https"), hasNot: []string{"Secure"}},
		"same site": {
			opts: bridge.Options{SameSite: http.SameSiteStrictMode}, prepare: plain, has: []string{"SameSite=Strict"},
		},
		"embedded": {
			opts:    bridge.Options{SameSite: http.SameSiteNoneMode, Partitioned: true},
			prepare: overTLS, prefix: "__Host-", has: []string{"SameSite=None", "Secure", "Partitioned"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), &c.opts)
			h := a.Handler(a.Mux)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/inc", nil)
			c.prepare(r)
			visitor := webclient.Pocket{}
			lines := visitor.Send(h, r).Header()["Set-Cookie"]
			require.Len(t, lines, 2)
			require.Contains(t, visitor, c.prefix+"sid")
			require.Contains(t, visitor, c.prefix+"sid.cid")
			for _, line := range lines {
				attributes := strings.Split(line, "; ")
				for _, want := range c.has {
					require.Contains(t, attributes, want)
				}
				for _, not := range c.hasNot {
					require.NotContains(t, line, not)
				}
			}
			again := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/inc", nil)
			c.prepare(again)
			require.Equal(t, "2", visitor.Send(h, again).Body.String(), "it is read under the name that it was set under")
		})
	}
}

func TestCookieNames(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Name: "shop", ClientName: "browser"})
	visitor := webclient.Pocket{}
	visitor.Get(t, a.Handler(a.Mux), "/inc")
	require.Len(t, visitor, 2)
	require.Contains(t, visitor, "shop")
	require.Contains(t, visitor, "browser")
}

func TestS16_SetCookieIsNeverCached(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{EagerClient: true})
	header := func(lines ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(lines); i += 2 {
				w.Header().Add(lines[i], lines[i+1])
			}
			s, err := a.Session(r)
			require.NoError(t, err)
			s.Set("k", r.URL.Path)
		}
	}
	a.Mux.Handle("/own", header("Cache-Control", "private, max-age=1"))
	a.Mux.Handle("/vary", header("Vary", "Accept-Encoding"))
	a.Mux.Handle("/cookie", header("Vary", "Accept, cookie"))
	a.Mux.Handle("/star", header("Vary", "*"))
	h := a.Handler(a.Mux)
	for path, want := range map[string]struct {
		cache string
		vary  []string
	}{
		"/plain":  {"no-store", []string{"Cookie"}},
		"/inc":    {"no-store", []string{"Cookie"}},
		"/own":    {"private, max-age=1", []string{"Cookie"}},
		"/vary":   {"no-store", []string{"Accept-Encoding", "Cookie"}},
		"/cookie": {"no-store", []string{"Accept, cookie"}},
		"/star":   {"no-store", []string{"*"}},
	} {
		w := webclient.Pocket{}.Get(t, h, path)
		require.NotEmpty(t, w.Header()["Set-Cookie"], path)
		require.Equal(t, want.cache, w.Header().Get("Cache-Control"), path)
		require.Equal(t, want.vary, w.Header()["Vary"], path)
	}
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	w := visitor.Get(t, h, "/plain")
	require.Empty(t, w.Header()["Cache-Control"], "a page that sets none and asks for no session stays cacheable")
	require.Empty(t, w.Header()["Vary"])
	w = visitor.Get(t, h, "/get")
	require.Empty(t, w.Header()["Cache-Control"])
	require.Equal(t, []string{"Cookie"}, w.Header()["Vary"], "one that shows the session depends on the cookie")
	w = visitor.Get(t, h, "/logout")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"), "removing a cookie is setting one")
	require.NotContains(t, visitor, "sid")
	require.Contains(t, visitor, "sid.cid", "the browser is still the same")
}

func TestLazyClientGetsItsCookieWhenItMatters(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Page("/client", func(r *http.Request) (any, error) { id, _ := bridge.ClientIDFrom(r.Context()); return id, nil })
	h := a.Handler(a.Mux)
	require.Empty(t, webclient.Pocket{}.Get(t, h, "/plain").Header()["Set-Cookie"])
	require.Empty(t, webclient.Pocket{}.Get(t, h, "/get").Header()["Set-Cookie"], "an empty session is not stored")
	for path, want := range map[string]int{"/client": 1, "/inc": 2} {
		visitor := webclient.Pocket{}
		visitor.Get(t, h, path)
		require.Len(t, visitor, want, path)
		require.Contains(t, visitor, "sid.cid", path)
	}
	br := webclient.NewBrowser(t, a.Serve(t))
	br.Dial("/ws")
	require.NotEmpty(t, br.Cookie("sid.cid"), "a connection is somebody's")
	a.Mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		require.NoError(t, http.NewResponseController(w).Flush())
		l, err := a.Attach(r, func(int, string) {})
		require.NoError(t, err)
		l.Detach()
	})
	stream := webclient.Pocket{}
	stream.Get(t, h, "/events")
	require.NotEmpty(t, stream["sid.cid"], "a stream, too, although Attach comes after its headers")
	a.SessionPage("/owner", func(s *bridge.Session) (any, error) { return s.ClientID(), nil })
	owner := webclient.Pocket{}
	require.Equal(t, owner.Get(t, h, "/owner").Body.String(), owner.Get(t, h, "/owner").Body.String(), "the session's client is asked for, too")
}

func TestClientCookieRolls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every, wait time.Duration
		want        bool
	}{
		"young":          {0, 23 * time.Hour, false},
		"a day old":      {0, 24 * time.Hour, true},
		"its own time":   {time.Hour, time.Hour, true},
		"every response": {1, 1, true},
		"never":          {bridge.Off, 300 * 24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), &bridge.Options{ClientRollEvery: c.every, EagerClient: true})
				h := a.Handler(a.Mux)
				visitor := webclient.Pocket{}
				visitor.Get(t, h, "/plain")
				time.Sleep(c.wait)
				w := visitor.Get(t, h, "/plain")
				require.Equal(t, c.want, len(w.Header()["Set-Cookie"]) == 1)
				require.Equal(t, c.want, w.Header().Get("Cache-Control") == "no-store")
			})
		})
	}
}

package compat_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

func proxyTo(t *testing.T, site string) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(site)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}

// The application is behind a proxy: what counts is that its answers pass unharmed, whole or torn.
func TestBehindAReverseProxy(t *testing.T) {
	st := newStore()
	b := newBridge(t, st, nil)
	mux := pages(b)
	mux.Handle("/do", do(b, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		s.Set("k", r.FormValue("k"))
		_, _ = io.WriteString(w, "ok")
		w.(http.Flusher).Flush()
		s.Set("late", r.FormValue("late"))
	}))
	br := newBrowser(t, serve(t, proxyTo(t, serve(t, b.Handler(mux)))))
	br.ok("/set?x=y")
	require.Equal(t, "ok", br.ok("/do?k=1&late=1"))
	require.Equal(t, "1", br.value("late"))
	st.breakDown()
	require.Equal(t, http.StatusServiceUnavailable, br.get("/do?k=2&late=1").status)
	br.broken("/do?k=1&late=2")
}

func TestWebSocketBehindAReverseProxy(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		_, site := newChat(t, lib, newStore(), true)
		br := newBrowser(t, serve(t, proxyTo(t, site)))
		ws, res := br.dial("/ws")
		require.Contains(t, setCookies(res.Header), "sid")
		require.Equal(t, "a", ws.ask("a"))
		require.Equal(t, "a", br.value("text"))
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, ws.closed())
	})
}

// The proxy is a handler of the application: it sets a key and lets another server answer.
func proxyApp(t *testing.T, st *failingStore, upstream http.Handler) *browser {
	t.Helper()
	proxy := proxyTo(t, serve(t, upstream))
	return app(t, st, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		s.Set("proxied", r.URL.RawQuery)
		proxy.ServeHTTP(w, r)
	})
}

func TestReverseProxyInsideTheHandler(t *testing.T) {
	st := newStore()
	br := proxyApp(t, st, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Upstream", "1")
		http.SetCookie(w, &http.Cookie{Name: "upstream", Value: "1"})
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "from upstream")
		if r.URL.RawQuery == "torn" {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	rep := br.get("/do?v")
	require.Equal(t, http.StatusAccepted, rep.status)
	require.Equal(t, "from upstream", rep.body)
	require.Equal(t, "1", rep.header.Get("X-Upstream"))
	require.ElementsMatch(t, []string{"upstream", "sid", "sid.cid"}, setCookies(rep.header))
	require.Equal(t, "v", br.value("proxied"))
	br.broken("/do?torn")

	st.breakDown()
	rep = br.get("/do?lost")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.NotContains(t, rep.body, "upstream")
	require.NotContains(t, setCookies(rep.header), "upstream")
}

func TestReverseProxyInsideTheHandlerProxiesUpgrades(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		st := newStore()
		br := proxyApp(t, st, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if p, err := lib.upgrade(w, r, nil); err == nil {
				p.serve(func(message string) string { return "echo " + message })
			}
		}))
		ws, res := br.dial("/do?v")
		require.Equal(t, []string{"sid", "sid.cid"}, setCookies(res.Header))
		require.Equal(t, "echo a", ws.ask("a"))
		require.Equal(t, "v", br.value("proxied"))
		require.NoError(t, ws.ws.CloseNow())

		st.breakDown()
		_, res, err := br.tryDial("/do?lost")
		require.Error(t, err)
		require.NotNil(t, res)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	})
}

package compat_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// serveHTTP2 starts a server that speaks HTTP/2 over TLS, and returns a browser that does.
func serveHTTP2(t *testing.T, h http.Handler) *browser {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return browserOver(t, srv.URL, srv.Client().Transport.(*http.Transport))
}

func TestHTTP2(t *testing.T) {
	st := newStore()
	b := newBridge(t, st, nil)
	mux := pages(b)
	mux.Handle("/do", do(b, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		s.Set("k", r.FormValue("k"))
		if r.FormValue("length") != "" {
			w.Header().Set("Content-Length", "2")
		}
		_, _ = io.WriteString(w, "ok")
		w.(http.Flusher).Flush()
		s.Set("late", r.FormValue("late"))
	}))
	br := serveHTTP2(t, b.Handler(mux))

	rep := br.get("/set?x=y")
	require.Equal(t, "HTTP/2.0", rep.proto)
	require.Equal(t, []string{"__Host-sid", "__Host-sid.cid"}, setCookies(rep.header))
	for _, line := range rep.header.Values("Set-Cookie") {
		require.Contains(t, line, "; Secure")
		require.Contains(t, line, "; HttpOnly")
		require.Contains(t, line, "; Path=/;")
		require.NotContains(t, strings.ToLower(line), "domain=")
	}
	require.Equal(t, "ok", br.ok("/do?k=1&late=1"))
	require.Equal(t, "1", br.value("late"))

	st.breakDown()
	require.Equal(t, http.StatusServiceUnavailable, br.get("/do?k=2&late=1").status)
	for _, path := range []string{"/do?k=1&late=2", "/do?k=1&late=2&length=1"} {
		rep := br.do(http.MethodGet, path, nil)
		require.ErrorContains(t, rep.err, "INTERNAL_ERROR", "the stream is reset")
	}
	st.heal()
	require.Equal(t, "1", br.value("late"), "the connection serves on")
}

// Cookies without the prefix are another site's, or of another time: over TLS they open nothing.
func TestHTTP2IgnoresCookiesWithoutThePrefix(t *testing.T) {
	st := newStore()
	b := newBridge(t, st, nil)
	h := b.Handler(pages(b))
	plain := newBrowser(t, serve(t, h))
	plain.ok("/set?k=v")
	require.Equal(t, "v", plain.value("k"))

	secure := serveHTTP2(t, h)
	cookies := "sid=" + plain.cookie("sid") + "; sid.cid=" + plain.cookie("sid.cid")
	require.Equal(t, "none", secure.get("/get?k", "Cookie", cookies).body)
	renamed := "__Host-sid=" + plain.cookie("sid") + "; __Host-sid.cid=" + plain.cookie("sid.cid")
	require.Equal(t, "none", secure.get("/get?k", "Cookie", renamed).body, "the name is part of what is signed")
}

func TestHTTP2HasNoHijackerAndSaysSo(t *testing.T) {
	found := make(chan bool, 1)
	b := newBridge(t, newStore(), nil)
	br := serveHTTP2(t, b.Handler(do(b, func(w http.ResponseWriter, _ *http.Request, _ *bridge.Session) {
		_, hijacker := w.(http.Hijacker)
		found <- hijacker
	})))
	br.ok("/")
	require.False(t, wait(t, found))
}

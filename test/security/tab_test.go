package security_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/store"
)

// slotApp is an application whose cookies may be of any Path and Domain: that of testkit, once at /
// and once below /shop, with the pages /who, /client and /set as well.
func slotApp(t testing.TB, st store.Store, opts bridge.Options) (*bridge.Bridge, http.Handler) {
	t.Helper()
	opts.Keys = [][]byte{[]byte(strings.Repeat("k", 32))}
	a := testkit.NewApp(t, st, &opts)
	a.SessionPage("/who", func(s *bridge.Session) (any, error) { return s.UserID(), nil })
	a.SessionPage("/set", func(s *bridge.Session) (any, error) { s.Set("k", "v"); return "set", nil })
	a.Page("/client", func(r *http.Request) (any, error) { id, _ := bridge.ClientIDFrom(r.Context()); return id, nil })
	mux := http.NewServeMux()
	mux.Handle("/", a.Mux)
	mux.Handle("/shop/", http.StripPrefix("/shop", a.Mux))
	return a.Bridge, a.Handler(mux)
}

// tab is a browser with a real cookie jar that visits a handler without a network.
type tab struct {
	t   testing.TB
	jar http.CookieJar
	// reversed has the cookies sent in the opposite order: the browser decides which of two cookies of
	// one name comes first.
	reversed bool
}

func newTab(t testing.TB) *tab {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &tab{t: t, jar: jar}
}

// visit sends a request, a GET unless the address begins with another method, with header lines,
// each a name and a value in turn.
func (b *tab) visit(h http.Handler, address string, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	w := b.ask(h, address, header...)
	b.keep(w, address)
	return w
}

// ask is visit, but the response hasn't arrived yet.
func (b *tab) ask(h http.Handler, address string, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := requestTo(b.t, address, header...)
	cookies := b.jar.Cookies(r.URL)
	if b.reversed {
		slices.Reverse(cookies)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// keep receives a response.
func (b *tab) keep(w *httptest.ResponseRecorder, address string) {
	b.jar.SetCookies(requestTo(b.t, address).URL, w.Result().Cookies())
}

// ok visits a page, which must be answered with 200, and returns its body.
func (b *tab) ok(h http.Handler, address string) string {
	b.t.Helper()
	w := b.visit(h, address)
	require.Equal(b.t, http.StatusOK, w.Code, "%s: %s", address, w.Body)
	return w.Body.String()
}

func requestTo(t testing.TB, address string, header ...string) *http.Request {
	t.Helper()
	method, target, ok := strings.Cut(address, " ")
	if !ok {
		method, target = http.MethodGet, address
	}
	u, err := url.Parse(target)
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.URL.Scheme, r.URL.Host, r.Host, r.TLS = u.Scheme, u.Host, u.Host, nil
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// names returns the names of the cookies that a response sets, in order.
func names(w *httptest.ResponseRecorder) (all []string) {
	for _, c := range w.Result().Cookies() {
		all = append(all, c.Name)
	}
	return all
}

// send passes a request with this Cookie header to a handler.
func send(t testing.TB, h http.Handler, path, cookies string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Cookie", cookies)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

package sessionproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/sessionproxy"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestBackendGetsSessionAndUser(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{
		Headers: admin.ForwardAuth{Values: map[string]string{"X-Name": "name"}},
	})
	br := webclient.NewBrowser(t, p.site)
	h := p.headers(br)
	require.Equal(t, []string{""}, h["X-Session-Id"], "no session")
	id := p.login(br, "ada Ω")
	h = p.headers(br)
	require.Equal(t, id, h.Get("X-Session-Id"))
	require.Equal(t, "ada%20%CE%A9", h.Get("X-Session-User"))
	require.Equal(t, "Ada%20%CE%A9", h.Get("X-Name"))
	require.Empty(t, h["X-Session-Grant"], "for trusted backends only")
}

// A client's own headers about the session, or its address, don't reach the backend, however they
// are spelled, and neither do the cookies that open the session.
func TestClientCanForgeNothing(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{
		Headers: admin.ForwardAuth{Values: map[string]string{"X-Name": "name"}},
	})
	br := webclient.NewBrowser(t, p.site)
	p.login(br, "ada")
	br.SetCookie("theme", "dark")
	h := p.headers(br,
		"X-Session-User", "root", "X_Session_User", "root", "x-session_id", "root", "X-Session-Grant", "root",
		"X_Name", "root", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "Forwarded", "for=1.2.3.4",
		"X.Session.User", "root", "X-Session~Id", "root", "X.Name", "root", "X.Forwarded.For", "1.2.3.4",
		"X-Real-Ip", "1.2.3.4", "Connection", "X-Session-User, X-Session-Id", "X-Own", "mine")
	for name, values := range h {
		for _, value := range values {
			require.NotContains(t, value, "root", name)
			require.NotContains(t, value, "1.2.3.4", name)
		}
	}
	require.Equal(t, "ada", h.Get("X-Session-User"))
	require.Equal(t, "127.0.0.1", h.Get("X-Forwarded-For"))
	require.Equal(t, "http", h.Get("X-Forwarded-Proto"))
	require.Equal(t, "mine", h.Get("X-Own"))
	require.Equal(t, []string{"theme=dark"}, h["Cookie"])
}

// A trailer comes after the headers have been checked.
func TestTrailersOfAClientDoNotPass(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	p.mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %d", body, len(r.Trailer))
	})
	body := io.MultiReader(strings.NewReader("body")) // of unknown length
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.site.URL+"/trailers", body)
	require.NoError(t, err)
	req.Trailer = http.Header{"X-Session-User": {"root"}}
	res, err := webclient.NewBrowser(t, p.site).Client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "body 0", string(answer))
}

// Some requests can't be confined to the backend's URL, or to the session: they don't reach it.
func TestTargetsThatDoNotPass(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{Backend: &url.URL{Path: "/app"}})
	p.mux.HandleFunc("/app/page..html", func(http.ResponseWriter, *http.Request) {})
	for target, passes := range map[string]bool{
		"GET /page..html": true, "GET /../admin": false, "GET /a/%2e%2E/../admin": false, "GET /..": false, "GET /..;a=b/admin": false,
		`GET /..\admin`: false, "GET /a%2f..%2f..%2fadmin": false, "GET app:admin": false,
		"CONNECT evil.example:443": false, "CONNECT /admin": false,
	} {
		p.asked.Store(0)
		conn, err := p.site.Dial(t.Context(), "tcp", strings.TrimPrefix(p.site.URL, "http://"))
		require.NoError(t, err)
		_, err = io.WriteString(conn, target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, target)
		require.NoError(t, res.Body.Close())
		require.NoError(t, conn.Close())
		require.Equal(t, passes, p.asked.Load() == 1, target)
		require.Equal(t, map[bool]int{true: 200, false: 400}[passes], res.StatusCode, target)
	}
}

func TestRequirement(t *testing.T) {
	for require_, want := range map[sessionproxy.Requirement][3]int{ // without a session, of a guest, of a user
		sessionproxy.RequireNone:    {200, 200, 200},
		sessionproxy.RequireSession: {401, 200, 200},
		sessionproxy.RequireLogin:   {401, 401, 200},
	} {
		t.Run(string(require_), func(t *testing.T) {
			p := newProxied(t, sessionproxy.Options{Require: require_})
			nobody, guest, user := webclient.NewBrowser(t, p.site), webclient.NewBrowser(t, p.site), webclient.NewBrowser(t, p.site)
			p.login(guest, "")
			p.login(user, "ada")
			for i, br := range []*webclient.Browser{nobody, guest, user} {
				p.asked.Store(0)
				require.Equal(t, want[i], br.Get("/who").Status)
				require.Equal(t, want[i] == 200, p.asked.Load() > 0)
			}
		})
	}
}

// The Bridge's cookies are the Bridge's: a backend can't replace them.
func TestBackendSetsNoCookieOfTheBridge(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	p.mux.HandleFunc("/cookies", func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"sid", "__Host-sid", "sid.cid", "theme"} {
			w.Header().Add("Set-Cookie", name+"=x; Path=/")
		}
	})
	br := webclient.NewBrowser(t, p.site)
	require.Equal(t, []string{"theme=x; Path=/"}, br.Get("/cookies").Header["Set-Cookie"])
}

// No header about the session reaches the client: neither of the answer, nor of a 103, nor a
// trailer.
func TestClientGetsNoHeaderAboutTheSession(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	p.mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("X-Session-User", "ada")
		h.Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		h.Set("Trailer", "X-Session-User, X-Sum")
		_, _ = w.Write([]byte("page"))
		h.Set("X-Session-User", "ada")
		h.Set(http.TrailerPrefix+"X-Session-Id", "ada")
		h.Set("X-Sum", "1")
	})
	var hints []textproto.MIMEHeader
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { hints = append(hints, h); return nil },
	}), http.MethodGet, p.site.URL+"/hints", nil)
	require.NoError(t, err)
	br := webclient.NewBrowser(t, p.site)
	res, err := br.Client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body) // the trailers have arrived then
	require.NoError(t, err)
	require.Equal(t, "page", string(page))
	require.Len(t, hints, 1)
	require.Equal(t, "</style.css>", hints[0].Get("Link"))
	require.Empty(t, hints[0].Get("X-Session-User"))
	require.Empty(t, res.Header.Get("X-Session-User"))
	require.Equal(t, http.Header{"X-Sum": {"1"}}, res.Trailer)
}

func TestBackendThatIsAway(t *testing.T) {
	b, err := bridge.New(livestore.New(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Shutdown(t.Context())) }()
	proxy, err := sessionproxy.New(b, sessionproxy.Options{Backend: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}})
	require.NoError(t, err)
	defer proxy.Close()
	br := webclient.NewBrowser(t, webclient.Serve(t, proxy))
	require.Equal(t, http.StatusBadGateway, br.Get("/").Status)
	_, res, err := br.TryDial("/", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
}

func TestOptionsThatAreInvalid(t *testing.T) {
	b, err := bridge.New(livestore.New(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Shutdown(t.Context())) }()
	for _, backend := range []string{"", "ftp://host", "http://", "http://user@host", "http://host?q", "host:80"} {
		u, _ := url.Parse(backend)
		_, err := sessionproxy.New(b, sessionproxy.Options{Backend: u})
		require.ErrorContains(t, err, "Backend must be a URL", backend)
	}
	_, err = sessionproxy.New(b, sessionproxy.Options{Backend: &url.URL{Scheme: "http", Host: "h"}, Require: "user"})
	require.ErrorContains(t, err, "not none, session or login")
}

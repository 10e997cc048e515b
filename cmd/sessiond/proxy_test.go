package main

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// backend starts testdata/backend.js, and returns its URL and what it prints.
func backend(t *testing.T) (url string, lines *bufio.Scanner) {
	t.Helper()
	lines = programs.Node(t, "testdata/backend.js")
	require.True(t, lines.Scan())
	return "http://127.0.0.1:" + lines.Text(), lines
}

// proxying starts sessiond proxy before a backend in node.
func proxying(t *testing.T, args ...string) (p *process, br *webclient.Browser, lines *bufio.Scanner) {
	t.Helper()
	url, lines := backend(t)
	args = append([]string{"proxy", "--backend", url, "--proxy-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"}, args...)
	p = start(t, command(t, nil, args...))
	return p, webclient.NewBrowser(t, &webclient.Site{URL: p.proxy, Dial: (&net.Dialer{}).DialContext}), lines
}

// A backend in node that knows nothing of sessions has them behind the proxy. A logout closes its
// WebSockets, whether the backend asks for it or an operator.
func TestProxyGivesSessionsToABackendInNode(t *testing.T) {
	p, br, lines := proxying(t, "--trust-backend")
	p.use()
	for name, logout := range map[string]func(){
		"by the backend":  func() { br.OK("/logout") },
		"by the operator": func() { require.Zero(t, sessiond(t, "destroy-user", "ada Ω").code) },
	} {
		br.OK("/login?user=ada%20%CE%A9")
		require.Equal(t, "ada Ω", br.OK("/"))
		require.Empty(t, br.WithoutJar().OK("/"))
		ws := br.Dial("/socket")
		require.Equal(t, "hello ada Ω", ws.Hear(), name)
		require.Equal(t, "echo word", ws.Ask("word"))
		require.Contains(t, sessiond(t, "conns", "--user", "ada Ω").out, `"messages":1`)
		logout()
		require.Equal(t, bridge.CodeDestroyed, ws.Closed(), name)
		require.True(t, lines.Scan())
		require.Equal(t, "closed 1001", lines.Text())
		require.Empty(t, br.OK("/"))
	}
	ws := br.Dial("/socket")
	ws.Hear()
	code := ws.WhenClosed()
	p.stop()
	require.Equal(t, bridge.CodeShutdown, <-code)
}

// A login service logs a browser in by the API beside the proxy. The cookies that it gets for the
// browser are for HTTPS.
func TestLoginServiceBesideTheProxy(t *testing.T) {
	p, br, _ := proxying(t, "--require", "login", "--trusted-proxy", "127.0.0.1")
	require.Equal(t, http.StatusUnauthorized, br.Get("/").Status)
	status, answer := p.call(http.MethodPost, "/v1/main/sessions", `{"user":"ada"}`)
	require.Equal(t, http.StatusCreated, status)
	for scheme, want := range map[string]int{"https": http.StatusOK, "http": http.StatusUnauthorized} {
		br := webclient.NewBrowserOver(t, strings.Replace(p.proxy, "http:", "https:", 1), front(scheme))
		for _, line := range answer["setCookies"].([]any) {
			cookie, err := http.ParseSetCookie(line.(string))
			require.NoError(t, err)
			br.SetCookie(cookie.Name, cookie.Value)
		}
		require.Equal(t, want, br.Get("/").Status, scheme)
	}
	p.stop()
}

// front is a proxy that ends TLS, as a browser sees it, and says so with this scheme.
type front string

func (scheme front) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme = "http"
	out.Header.Set("X-Forwarded-Proto", string(scheme))
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(out)
}

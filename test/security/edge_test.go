package security_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A page on HTTPS behind a proxy that terminates TLS opens sockets, whichever header the proxy
// uses; a page on plain HTTP doesn't.
func TestS7_HandshakeBehindAProxyThatEndsTLS(t *testing.T) {
	const open, refused = http.StatusSwitchingProtocols, http.StatusForbidden
	for name, c := range map[string]struct {
		opts   bridge.Options
		host   string
		origin string
		lines  []string // of the header, names and values
		want   int
	}{
		"a port in Host":              {bridge.Options{}, "app.test:443", "https://app.test", nil, open},
		"a port in Origin":            {bridge.Options{}, "app.test", "https://app.test:443", nil, open},
		"another port":                {bridge.Options{}, "app.test:8443", "https://app.test", nil, refused},
		"wss":                         {bridge.Options{}, "app.test", "https://app.test", []string{"X-Forwarded-Proto", "wss"}, open},
		"http on wss":                 {bridge.Options{}, "app.test", "http://app.test", []string{"X-Forwarded-Proto", "wss"}, refused},
		"http on https":               {bridge.Options{}, "app.test", "http://app.test", []string{"X-Forwarded-Proto", "https"}, refused},
		"http on Forwarded's https":   {bridge.Options{}, "app.test", "http://app.test", []string{"Forwarded", "for=192.0.2.1;proto=https"}, refused},
		"http on ws":                  {bridge.Options{}, "app.test", "http://app.test", []string{"X-Forwarded-Proto", "ws"}, open},
		"http on SecureAlways":        {bridge.Options{Secure: bridge.SecureAlways}, "app.test", "http://app.test", nil, refused},
		"http on SecureAlways, local": {bridge.Options{Secure: bridge.SecureAlways}, "localhost:3000", "http://localhost:3000", nil, open},
		"http, by its host":           {bridge.Options{OriginPatterns: []string{"www.test"}}, "app.test", "http://www.test", []string{"X-Forwarded-Proto", "https"}, refused},
		"http, by its name":           {bridge.Options{OriginPatterns: []string{"http://www.test"}}, "app.test", "http://www.test", []string{"X-Forwarded-Proto", "https"}, open},
		"capitals and a dot":          {bridge.Options{}, "App.Test.:443", "https://APP.test", nil, open},
		"IPv6":                        {bridge.Options{}, "[2001:DB8::1]:443", "https://[2001:db8::1]", nil, open},
		"IPv6 pattern":                {bridge.Options{OriginPatterns: []string{"https://[2001:db8::1]:8443/"}}, "app.test", "https://[2001:db8::1]:8443", nil, open},
		"null":                        {bridge.Options{OriginPatterns: []string{"*", "*://*"}}, "app.test", "null", nil, refused},
		"null, by its entry":          {bridge.Options{OriginPatterns: []string{"null"}}, "app.test", "null", nil, open},
		"file, by its entry":          {bridge.Options{OriginPatterns: []string{"file://"}}, "app.test", "file://", nil, open},
		"file":                        {bridge.Options{OriginPatterns: []string{"*"}}, "app.test", "file://", nil, refused},
		"an app with the same name":   {bridge.Options{}, "app.test", "capacitor://app.test", nil, refused},
	} {
		t.Run(name, func(t *testing.T) {
			c.opts.TrustedProxies = []string{"127.0.0.0/8", "::1"}
			c.opts.DangerouslyInsecure = true // this is about origins: see TestS7_PlainWebSocketsOnThisMachineOnly
			a := testkit.NewApp(t, livestore.New(), &c.opts)
			header := http.Header{"Origin": {c.origin}}
			for i := 0; i < len(c.lines); i += 2 {
				header.Set(c.lines[i], c.lines[i+1])
			}
			require.Equal(t, c.want, webclient.NewBrowser(t, a.Serve(t)).DialAs(c.host, header))
		})
	}
}

// A handshake without TLS is refused unless it goes to this machine, whatever its origin.
func TestS7_PlainWebSocketsOnThisMachineOnly(t *testing.T) {
	const open, refused = http.StatusSwitchingProtocols, http.StatusForbidden
	proxies := []string{"127.0.0.0/8", "::1"}
	for name, c := range map[string]struct {
		opts bridge.Options
		host string
		line []string // of the header: a name and a value
		want int
	}{
		"this machine":                 {bridge.Options{}, "127.0.0.1:3000", nil, open},
		"localhost":                    {bridge.Options{}, "LOCALHOST:3000", nil, open},
		"a name below localhost":       {bridge.Options{}, "shop.localhost", nil, open},
		"IPv6":                         {bridge.Options{}, "[::1]:3000", nil, open},
		"another machine":              {bridge.Options{}, "192.0.2.1:3000", nil, refused},
		"a name":                       {bridge.Options{}, "app.test", nil, refused},
		"a name like localhost":        {bridge.Options{}, "localhost.test", nil, refused},
		"a proxy that ends TLS":        {bridge.Options{TrustedProxies: proxies}, "app.test", []string{"X-Forwarded-Proto", "https"}, open},
		"a proxy without TLS":          {bridge.Options{TrustedProxies: proxies}, "app.test", []string{"X-Forwarded-Proto", "http"}, refused},
		"a proxy that isn't trusted":   {bridge.Options{}, "app.test", []string{"X-Forwarded-Proto", "https"}, refused},
		"SecureAlways, behind a proxy": {bridge.Options{Secure: bridge.SecureAlways}, "app.test", nil, open},
		"DangerouslyInsecure":          {bridge.Options{DangerouslyInsecure: true}, "app.test", nil, open},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), &c.opts)
			header := http.Header{}
			if c.line != nil {
				header.Set(c.line[0], c.line[1])
			}
			require.Equal(t, c.want, webclient.NewBrowser(t, a.Serve(t)).DialAs(c.host, header))
		})
	}
}

// Behind Traefik, which sends wss for a handshake and https for a page, a socket opens the page's
// session.
func TestSocketBehindTraefikHasThePagesSession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{TrustedProxies: []string{"127.0.0.1"}})
	br := webclient.NewBrowser(t, a.Serve(t))
	rep := br.Get("/inc", "X-Forwarded-Proto", "https")
	require.Equal(t, "1", strings.TrimSpace(rep.Body))
	header := http.Header{"X-Forwarded-Proto": {"wss"}}
	for _, line := range rep.Header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		require.NoError(t, err)
		require.True(t, c.Secure)
		header.Add("Cookie", c.Name+"="+c.Value)
	}
	ws, _, err := br.TryDial("/ws", header)
	require.NoError(t, err)
	require.Equal(t, "2", ws.Ask("inc"))
}

func TestCheckOriginAllowsHostsKnownAtRunTime(t *testing.T) {
	tenants := map[string]bool{"https://tenant.test": true}
	var asked []string
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{
		OriginPatterns: []string{"partner.test"},
		CheckOrigin: func(r *http.Request) bool {
			asked = append(asked, r.Header.Get("Origin"))
			return tenants[r.Header.Get("Origin")]
		},
	})
	a.Page("/attach", func(r *http.Request) (any, error) {
		l, err := a.Attach(r, func(int, string) {})
		if err == nil {
			l.Detach()
		}
		return "", err
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	for origin, want := range map[string]int{
		"https://tenant.test": http.StatusSwitchingProtocols, "https://partner.test": http.StatusSwitchingProtocols,
		br.Base.String(): http.StatusSwitchingProtocols, "": http.StatusSwitchingProtocols,
		"https://evil.test": http.StatusForbidden, "null": http.StatusForbidden,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		require.Equal(t, want, br.DialAs("", header), origin)
		if want == http.StatusSwitchingProtocols {
			want = http.StatusOK
		}
		require.Equal(t, want, br.Get("/attach", "Origin", origin).Status, origin)
	}
	require.ElementsMatch(t, []string{
		"https://tenant.test", "https://tenant.test", "https://evil.test", "https://evil.test", "null", "null",
	}, asked, "it is asked about those only that nothing else allows")
}

func TestRefusedOriginIsLogged(t *testing.T) {
	var log bytes.Buffer
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	a.Page("/attach", func(r *http.Request) (any, error) { return a.Attach(r, func(int, string) {}) })
	br := webclient.NewBrowser(t, a.Serve(t))
	long := "https://" + strings.Repeat("x", 1000) + ".test"
	for _, origin := range []string{"https://evil.test", "null", long} {
		log.Reset()
		require.Equal(t, http.StatusForbidden, br.DialAs("app.localhost", http.Header{"Origin": {origin}}))
		require.NotEmpty(t, linesOf(t, log.Bytes(), "handshake from another origin refused", line{
			"origin": origin[:min(len(origin), 256)], "host": "app.localhost", "https": false,
		}), log.String())
		log.Reset()
		require.Equal(t, http.StatusForbidden, br.Get("/attach", "Origin", origin).Status)
		require.NotEmpty(t, linesOf(t, log.Bytes(), "connection from another origin refused", line{"origin": origin[:min(len(origin), 256)]}))
	}
	for host, origin := range map[string]string{
		strings.Repeat("x", 1000) + ".localhost": "https://evil.test",
		strings.Repeat("x", 1000) + ".test":      "",
	} {
		log.Reset()
		require.Equal(t, http.StatusForbidden, br.DialAs(host, http.Header{"Origin": {origin}}))
		require.Contains(t, log.String(), `"host":"`+host[:256]+`"`)
	}
}

func TestHeaderOfAPeerThatIsNotTrustedIsLoggedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []string
		header  string
		want    string
	}{
		"nobody is trusted":    {nil, "X-Forwarded-For", "X-Forwarded-For"},
		"another is trusted":   {[]string{"10.0.0.0/8"}, "X-Forwarded-Proto", "X-Forwarded-Proto"},
		"Forwarded":            {nil, "Forwarded", "Forwarded"},
		"the peer is trusted":  {[]string{"192.0.2.0/24"}, "X-Forwarded-For", ""},
		"a header of no proxy": {nil, "X-Requested-With", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{TrustedProxies: c.trusted, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			h := a.Handler(a.Mux)
			webclient.Pocket{}.Get(t, h, "/plain")
			const msg = "header of a peer that is not in Options.TrustedProxies ignored (logged once)"
			require.Empty(t, linesOf(t, log.Bytes(), msg, nil))
			for range 3 {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/plain", nil)
				r.RemoteAddr = "192.0.2.9:99"
				r.Header.Set(c.header, "x")
				webclient.Pocket{}.Send(h, r)
			}
			lines := linesOf(t, log.Bytes(), msg, nil)
			if c.want == "" {
				require.Empty(t, lines)
				return
			}
			require.Len(t, lines, 1)
			require.Equal(t, c.want, lines[0]["header"])
			require.Equal(t, "192.0.2.9", lines[0]["peer"])
			require.Equal(t, "WARN", lines[0]["level"])
		})
	}
}

// Behind a proxy on a unix socket clients have their own addresses, and their cookies are Secure.
func TestProxyOnAUnixSocket(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, &bridge.Options{TrustedProxies: []string{"unix"}, MaxConnsPerAddr: 1})
	path := filepath.Join(t.TempDir(), "app.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(a.Handler(a.Mux))
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	t.Cleanup(client.CloseIdleConnections)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.test/login?user=ada", nil)
	require.NoError(t, err)
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 203.0.113.7:17085")
	r.Header.Set("X-Forwarded-Proto", "https")
	res, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	for _, c := range res.Cookies() {
		require.True(t, c.Secure)
	}
	for rec, err := range st.ByUser(t.Context(), "ada") {
		require.NoError(t, err)
		require.Equal(t, "203.0.113.7", rec.Addr)
	}
	require.Equal(t, 1, teststore.StoredCount(t, st))

	from := func(addr string) int {
		ws, res, err := websocket.Dial(t.Context(), "http://app.test/ws", &websocket.DialOptions{
			HTTPClient: client, HTTPHeader: http.Header{"X-Forwarded-For": {addr}, "X-Forwarded-Proto": {"wss"}, "Origin": {"https://app.test"}},
		})
		if err == nil {
			t.Cleanup(func() { _ = ws.CloseNow() })
			require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte("id")))
			_, _, err = ws.Read(t.Context())
			require.NoError(t, err)
		}
		return res.StatusCode
	}
	require.Equal(t, http.StatusSwitchingProtocols, from("203.0.113.7:17085"))
	require.Equal(t, http.StatusTooManyRequests, from("203.0.113.7:17086"), "a port is no other client")
	require.Equal(t, http.StatusSwitchingProtocols, from("203.0.113.8:17085"))
	require.Equal(t, http.StatusSwitchingProtocols, from("[2001:db8:1:2::1]:99"))
	require.Equal(t, http.StatusTooManyRequests, from("[2001:db8:1:2::2]:98"))
}

func TestOneKindOfProxyHeadersOnly(t *testing.T) {
	for policy, want := range map[bridge.ProxyHeaderPolicy]string{
		bridge.AnyProxyHeaders: "192.0.2.1", bridge.OnlyXForwarded: "203.0.113.1", bridge.OnlyForwarded: "203.0.113.2",
	} {
		st := livestore.New()
		a := testkit.NewApp(t, st, &bridge.Options{TrustedProxies: []string{"192.0.2.1"}, ProxyHeaders: policy})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login?user=ada", nil)
		r.Header.Set("X-Forwarded-For", "203.0.113.1")
		r.Header.Set("Forwarded", "for=203.0.113.2")
		require.Equal(t, http.StatusOK, webclient.Pocket{}.Send(a.Handler(a.Mux), r).Code)
		for rec, err := range st.ByUser(t.Context(), "ada") {
			require.NoError(t, err)
			require.Equal(t, want, rec.Addr)
		}
		require.Equal(t, 1, teststore.StoredCount(t, st))
	}
}

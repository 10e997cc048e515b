package security_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A session has the address of its login. X-Forwarded-For counts only as far as trusted proxies
// have written it.
func TestForwardedForIsBelievedOnlyFromTrustedProxies(t *testing.T) {
	proxies := []string{"10.0.0.0/8", "2001:db8::1"}
	for name, c := range map[string]struct {
		proxies   []string
		remote    string
		forwarded []string
		want      string
	}{
		"no proxy":                   {nil, "192.0.2.1:99", nil, "192.0.2.1"},
		"nobody is trusted":          {nil, "10.0.0.1:99", []string{"198.51.100.1"}, "10.0.0.1"},
		"an untrusted one says so":   {proxies, "192.0.2.1:99", []string{"198.51.100.1"}, "192.0.2.1"},
		"a trusted one says so":      {proxies, "10.0.0.1:99", []string{"198.51.100.1"}, "198.51.100.1"},
		"what the client wrote":      {proxies, "10.0.0.1:99", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":                {proxies, "10.0.0.1:99", []string{"1.2.3.4, 198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		"several lines":              {proxies, "10.0.0.1:99", []string{"1.2.3.4", "198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		"garbage before":             {proxies, "10.0.0.1:99", []string{"<script>, 198.51.100.1"}, "198.51.100.1"},
		"garbage only":               {proxies, "10.0.0.1:99", []string{"<script>"}, "10.0.0.1"},
		"empty":                      {proxies, "10.0.0.1:99", []string{""}, "10.0.0.1"},
		"absent":                     {proxies, "10.0.0.1:99", nil, "10.0.0.1"},
		"IPv6 proxy":                 {proxies, "[2001:db8::1]:99", []string{"2001:db8::9"}, "2001:db8::9"},
		"IPv4 in IPv6 is that proxy": {proxies, "[::ffff:10.0.0.1]:99", []string{"198.51.100.1"}, "198.51.100.1"},
	} {
		t.Run(name, func(t *testing.T) {
			st := livestore.New()
			a := testkit.NewApp(t, st, &bridge.Options{TrustedProxies: c.proxies})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login?user=ada", nil)
			r.RemoteAddr = c.remote
			for _, line := range c.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			require.Equal(t, http.StatusOK, webclient.Pocket{}.Send(a.Handler(a.Mux), r).Code)
			for rec, err := range st.ByUser(t.Context(), "ada") {
				require.NoError(t, err)
				require.Equal(t, c.want, rec.Addr)
			}
			require.Equal(t, 1, teststore.StoredCount(t, st))
		})
	}
}

func TestS7_HandshakeOrigin(t *testing.T) {
	for name, c := range map[string]struct {
		patterns []string
		origin   string
		want     int
	}{
		"none":                         {nil, "", http.StatusSwitchingProtocols},
		"the same":                     {nil, "http://{host}", http.StatusSwitchingProtocols},
		"another":                      {nil, "https://evil.example", http.StatusForbidden},
		"null, of a sandboxed frame":   {nil, "null", http.StatusForbidden},
		"garbage":                      {nil, "://", http.StatusForbidden},
		"without a host":               {nil, "file:///etc/passwd", http.StatusForbidden},
		"allowed":                      {[]string{"app.example.com"}, "https://app.example.com", http.StatusSwitchingProtocols},
		"allowed in capitals":          {[]string{"App.Example.com"}, "https://aPP.example.COM", http.StatusSwitchingProtocols},
		"allowed by a pattern":         {[]string{"*.example.com"}, "https://app.example.com", http.StatusSwitchingProtocols},
		"pattern of another domain":    {[]string{"*.example.com"}, "https://example.com.evil.example", http.StatusForbidden},
		"the pattern's dot is a dot":   {[]string{"*.example.com"}, "https://evilexample.com", http.StatusForbidden},
		"allowed with its scheme":      {[]string{"https://app.example.com"}, "https://app.example.com", http.StatusSwitchingProtocols},
		"allowed with another scheme":  {[]string{"https://app.example.com"}, "http://app.example.com", http.StatusForbidden},
		"another port is another host": {[]string{"app.example.com"}, "https://app.example.com:8443", http.StatusForbidden},
		"user info hides no host":      {[]string{"app.example.com"}, "https://app.example.com@evil.example", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{OriginPatterns: c.patterns})
			site := a.Serve(t)
			br := webclient.NewBrowser(t, site)
			header := http.Header{}
			switch c.origin {
			case "":
			case "http://{host}":
				header.Set("Origin", site.URL)
			default:
				header.Set("Origin", c.origin)
			}
			_, res, err := br.TryDial("/ws", header)
			require.Equal(t, c.want, res.StatusCode)
			require.Equal(t, c.want == http.StatusSwitchingProtocols, err == nil)
		})
	}
}

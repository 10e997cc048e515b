package forwarded_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/forwarded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func proxies(t testing.TB, use forwarded.Headers, trusted ...string) *forwarded.Proxies {
	t.Helper()
	p, _, err := forwarded.New(trusted, use)
	require.NoError(t, err)
	return &p
}

// request returns a request from remote with the header lines, each "Name: value".
func request(remote string, lines ...string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil) //nolint:usetesting // for fuzzing, too
	r.RemoteAddr = remote
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r
}

func TestAddrIsTheNearestThatIsNotTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		remote string
		lines  []string
		want   string
	}{
		"untrusted peer":                   {"198.51.100.1:9", []string{"X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7"}, "198.51.100.1"},
		"peer without a port":              {"198.51.100.1", nil, "198.51.100.1"},
		"IPv6 peer":                        {"[2001:DB8::1]:9", nil, "2001:db8::1"},
		"IPv6 peer without a port":         {"2001:db8::1", nil, "2001:db8::1"},
		"IPv4 peer in IPv6":                {"[::ffff:198.51.100.1]:9", nil, "198.51.100.1"},
		"peer with a zone":                 {"[fe80::1%eth0]:9", nil, "fe80::1"},
		"peer that is no address":          {"pipe", []string{"X-Forwarded-For: 203.0.113.7"}, "pipe"},
		"nothing said":                     {"10.0.0.1:9", nil, "10.0.0.1"},
		"plain":                            {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		"with a port":                      {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7:17085"}, "203.0.113.7"},
		"IPv6":                             {"10.0.0.1:9", []string{"X-Forwarded-For: 2001:DB8:0::7"}, "2001:db8::7"},
		"IPv6 in brackets":                 {"10.0.0.1:9", []string{"X-Forwarded-For: [2001:db8::7]"}, "2001:db8::7"},
		"IPv6 with a port":                 {"10.0.0.1:9", []string{"X-Forwarded-For: [2001:db8::7]:443"}, "2001:db8::7"},
		"IPv6 in quotes":                   {"10.0.0.1:9", []string{`X-Forwarded-For: "[2001:db8::7]:443"`}, "2001:db8::7"},
		"IPv6 with a zone":                 {"10.0.0.1:9", []string{"X-Forwarded-For: [fe80::7%eth1]:443"}, "fe80::7"},
		"IPv4 in IPv6":                     {"10.0.0.1:9", []string{"X-Forwarded-For: ::ffff:203.0.113.7"}, "203.0.113.7"},
		"IPv4 in IPv6 with a port":         {"10.0.0.1:9", []string{"X-Forwarded-For: [::ffff:203.0.113.7]:1"}, "203.0.113.7"},
		"the client's invention":           {"10.0.0.1:9", []string{"X-Forwarded-For: 127.0.0.1, 203.0.113.7"}, "203.0.113.7"},
		"an invented trusted proxy":        {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, 10.0.0.2, 203.0.113.7"}, "203.0.113.7"},
		"an invented line":                 {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8", "X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		"trusted proxies":                  {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8,203.0.113.7 ,10.1.1.1:80,\t10.2.2.2"}, "203.0.113.7"},
		"trusted proxies, one a line":      {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, 203.0.113.7", "X-Forwarded-For: 10.1.1.1", "X-Forwarded-For: 10.2.2.2"}, "203.0.113.7"},
		"trusted proxy in IPv6":            {"[::ffff:10.0.0.1]:9", []string{"X-Forwarded-For: 203.0.113.7, ::ffff:10.2.2.2"}, "203.0.113.7"},
		"trusted IPv6 proxy":               {"[2001:db8:1::5]:9", []string{"X-Forwarded-For: 203.0.113.7, [2001:db8:1::6]:99"}, "203.0.113.7"},
		"trusted mapped network":           {"172.16.3.4:9", []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		"trusted in its zone":              {"[fe80::a%eth0]:9", []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		"not trusted in another zone":      {"[fe80::a%eth1]:9", []string{"X-Forwarded-For: 203.0.113.7"}, "fe80::a"},
		"not trusted without a zone":       {"[fe80::a]:9", []string{"X-Forwarded-For: 203.0.113.7"}, "fe80::a"},
		"trusted network in any zone":      {"[fe80:1::a%eth1]:9", []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		"all are trusted":                  {"10.0.0.1:9", []string{"X-Forwarded-For: 10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		"empty elements":                   {"10.0.0.1:9", []string{"X-Forwarded-For: ,, 203.0.113.7, , 10.2.2.2,", "X-Forwarded-For:"}, "203.0.113.7"},
		"nothing but empty elements":       {"10.0.0.1:9", []string{"X-Forwarded-For: , ,", "X-Forwarded-For:"}, "10.0.0.1"},
		"unknown":                          {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, unknown"}, "10.0.0.1"},
		"unknown behind a proxy":           {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, unknown, 10.2.2.2"}, "10.2.2.2"},
		"unix hop, which isn't trusted":    {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, unix:"}, "unix"},
		"garbage":                          {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, <script>"}, "10.0.0.1"},
		"a name":                           {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, localhost"}, "10.0.0.1"},
		"a network":                        {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, 203.0.113.0/24"}, "10.0.0.1"},
		"octal":                            {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, 203.0.113.07"}, "10.0.0.1"},
		"a port that is none":              {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, 203.0.113.7:99999"}, "10.0.0.1"},
		"a bracket that stays open":        {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, [2001:db8::7"}, "10.0.0.1"},
		"something behind the bracket":     {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, [2001:db8::7]x"}, "10.0.0.1"},
		"IPv4 in brackets":                 {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, [203.0.113.7]"}, "10.0.0.1"},
		"garbage before":                   {"10.0.0.1:9", []string{"X-Forwarded-For: <script>, 203.0.113.7"}, "203.0.113.7"},
		"Forwarded":                        {"10.0.0.1:9", []string{"Forwarded: for=203.0.113.7;proto=https;by=10.0.0.1"}, "203.0.113.7"},
		"Forwarded, in capitals":           {"10.0.0.1:9", []string{"Forwarded: Proto=https ; FOR=203.0.113.7"}, "203.0.113.7"},
		"Forwarded with a port":            {"10.0.0.1:9", []string{`Forwarded: for="203.0.113.7:4711"`}, "203.0.113.7"},
		"Forwarded with a hidden port":     {"10.0.0.1:9", []string{`Forwarded: for="203.0.113.7:_p"`}, "203.0.113.7"},
		"Forwarded with IPv6":              {"10.0.0.1:9", []string{`Forwarded: for="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17"},
		"Forwarded with IPv6, no quotes":   {"10.0.0.1:9", []string{`Forwarded: for=[2001:db8:cafe::17]:4711;proto=http`}, "2001:db8:cafe::17"},
		"Forwarded with bare IPv6":         {"10.0.0.1:9", []string{`Forwarded: for=2001:db8:cafe::17`}, "2001:db8:cafe::17"},
		"Forwarded with escapes":           {"10.0.0.1:9", []string{`Forwarded: by="a\",\\b";for="203.0.113\.7"`}, "203.0.113.7"},
		"Forwarded, a list":                {"10.0.0.1:9", []string{`Forwarded: for=8.8.8.8, for=203.0.113.7;by="x,y", for="10.2.2.2:99"`}, "203.0.113.7"},
		"Forwarded, several lines":         {"10.0.0.1:9", []string{"Forwarded: for=8.8.8.8", "Forwarded: for=203.0.113.7", "Forwarded: for=10.2.2.2"}, "203.0.113.7"},
		"Forwarded, empty elements":        {"10.0.0.1:9", []string{"Forwarded: for=203.0.113.7, , for=10.2.2.2,"}, "203.0.113.7"},
		"Forwarded, unknown":               {"10.0.0.1:9", []string{"Forwarded: for=8.8.8.8, for=unknown"}, "10.0.0.1"},
		"Forwarded, hidden":                {"10.0.0.1:9", []string{"Forwarded: for=8.8.8.8, for=_hidden, for=10.2.2.2"}, "10.2.2.2"},
		"Forwarded, an open quote":         {"10.0.0.1:9", []string{`Forwarded: for="8.8.8.8, for=203.0.113.7`}, "203.0.113.7"},
		"Forwarded, a quote to be closed":  {"10.0.0.1:9", []string{`Forwarded: for=8.8.8.8;by=", for="203.0.113.7:1"`}, "203.0.113.7"},
		"Forwarded, an escape left open":   {"10.0.0.1:9", []string{`Forwarded: for="8.8.8.8\, for="203.0.113.7:1"`}, "203.0.113.7"},
		"Forwarded, twice the parameter":   {"10.0.0.1:9", []string{"Forwarded: for=8.8.8.8;for=203.0.113.7"}, "10.0.0.1"},
		"Forwarded, without for":           {"10.0.0.1:9", []string{"Forwarded: for=8.8.8.8, proto=https"}, "10.0.0.1"},
		"Forwarded, garbage":               {"10.0.0.1:9", []string{"Forwarded: for=8.8.8.8, 203.0.113.7"}, "10.0.0.1"},
		"both, of one mind":                {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7, 10.2.2.2", "Forwarded: for=203.0.113.7"}, "203.0.113.7"},
		"both, and one is passed on":       {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7", "Forwarded: for=8.8.8.8"}, "10.0.0.1"},
		"both, and one is unknown":         {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8", "Forwarded: for=unknown"}, "10.0.0.1"},
		"both, and one is garbage":         {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7", "Forwarded: garbage"}, "203.0.113.7"},
		"both, and one has no address":     {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7", "Forwarded: proto=https"}, "203.0.113.7"},
		"both, and one ends at a proxy":    {"10.0.0.1:9", []string{"X-Forwarded-For: 10.2.2.2", "Forwarded: for=203.0.113.7"}, "203.0.113.7"},
		"both, the other ends at a proxy":  {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7, 10.2.2.2", "Forwarded: for=10.2.2.2"}, "203.0.113.7"},
		"both, an invention beside it":     {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8, 10.2.2.2", "Forwarded: for=203.0.113.7"}, "10.0.0.1"},
		"what isn't read":                  {"10.0.0.1:9", []string{"X-Real-Ip: 8.8.8.8", "X-Client-Ip: 8.8.8.8", "Cf-Connecting-Ip: 8.8.8.8"}, "10.0.0.1"},
		"more proxies than anybody has":    {"10.0.0.1:9", []string{"X-Forwarded-For: 8.8.8.8" + strings.Repeat(", 10.2.2.2", 100_000)}, "10.2.2.2"},
		"more commas than anybody sends":   {"10.0.0.1:9", []string{"X-Forwarded-For: 203.0.113.7" + strings.Repeat(" ,", 100_000)}, "203.0.113.7"},
		"more backslashes and quotes, too": {"10.0.0.1:9", []string{"Forwarded: " + strings.Repeat(`\\"`, 100_000) + ", for=203.0.113.7"}, "203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			p := proxies(t, forwarded.Any, "10.0.0.0/8", "2001:db8:1::/48", "::ffff:172.16.0.0/108", "fe80::a%eth0", "fe80:1::/64")
			require.Equal(t, c.want, p.Addr(request(c.remote, c.lines...)))
		})
	}
}

func TestOneFamilyOfHeadersAlone(t *testing.T) {
	lines := []string{"X-Forwarded-For: 203.0.113.1", "X-Forwarded-Proto: http", "Forwarded: for=203.0.113.2;proto=https"}
	for use, want := range map[forwarded.Headers]struct {
		addr  string
		https bool
	}{
		forwarded.Any:            {"10.0.0.1", false},
		forwarded.OnlyXForwarded: {"203.0.113.1", false},
		forwarded.OnlyForwarded:  {"203.0.113.2", true},
	} {
		p := proxies(t, use, "10.0.0.1")
		require.Equal(t, want.addr, p.Addr(request("10.0.0.1:9", lines...)))
		require.Equal(t, want.https, p.HTTPS(request("10.0.0.1:9", lines...)))
	}
}

func TestUnixPeersAreTrustedByName(t *testing.T) {
	named := proxies(t, forwarded.Any, "unix")
	for _, remote := range []string{"@", "@proxy", "/run/proxy.sock"} {
		require.Equal(t, "203.0.113.7", named.Addr(request(remote, "X-Forwarded-For: 203.0.113.7")))
		require.True(t, named.HTTPS(request(remote, "X-Forwarded-Proto: https")))
		require.Equal(t, "unix", named.Addr(request(remote)))
		require.Equal(t, "203.0.113.7", named.Addr(request(remote, "X-Forwarded-For: 203.0.113.7, unix:")), "nginx behind another unix socket")

		others := proxies(t, forwarded.Any, "10.0.0.0/8", "0.0.0.0/0", "::/0")
		require.Equal(t, "unix", others.Addr(request(remote, "X-Forwarded-For: 203.0.113.7")))
		require.False(t, others.HTTPS(request(remote, "X-Forwarded-Proto: https")))
	}
	// On some systems RemoteAddr is empty; the listener's address identifies a Unix socket.
	r := request("", "X-Forwarded-For: 203.0.113.7")
	require.Empty(t, named.Addr(r))
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/app.sock", Net: "unix"}))
	require.Equal(t, "203.0.113.7", named.Addr(r))
	r.RemoteAddr = "198.51.100.1:9" // set by a middleware
	require.Equal(t, "198.51.100.1", named.Addr(r))
	require.Equal(t, "198.51.100.1", named.Addr(request("198.51.100.1:9", "X-Forwarded-For: 203.0.113.7")))
}

func TestHTTPSIsWhatTheClientCameBy(t *testing.T) {
	for name, c := range map[string]struct {
		remote string
		tls    bool
		lines  []string
		want   bool
	}{
		"plain":                         {"198.51.100.1:9", false, nil, false},
		"TLS":                           {"198.51.100.1:9", true, nil, true},
		"untrusted":                     {"198.51.100.1:9", false, []string{"X-Forwarded-Proto: https", "Forwarded: for=1.1.1.1;proto=https"}, false},
		"untrusted, over TLS":           {"198.51.100.1:9", true, []string{"X-Forwarded-Proto: http"}, true},
		"https":                         {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: https"}, true},
		"HTTPS":                         {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: HTTPS"}, true},
		"wss":                           {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: wss"}, true},
		"ws":                            {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: ws"}, false},
		"http":                          {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: http"}, false},
		"http, TLS behind the proxy":    {"10.0.0.1:9", true, []string{"X-Forwarded-Proto: http"}, false},
		"nothing, TLS behind the proxy": {"10.0.0.1:9", true, []string{"X-Forwarded-For: 203.0.113.7"}, true},
		"something else":                {"10.0.0.1:9", true, []string{"X-Forwarded-Proto: gopher"}, true},
		"the last one":                  {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: https, http"}, false},
		"the last line":                 {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, false},
		"the last one, no spaces":       {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: http,https"}, true},
		"an empty element":              {"10.0.0.1:9", false, []string{"X-Forwarded-Proto: https,"}, true},
		"the client's of two proxies":   {"10.0.0.1:9", false, []string{"X-Forwarded-For: 203.0.113.7, 10.2.2.2", "X-Forwarded-Proto: https,http"}, true},
		"the client's, plain":           {"10.0.0.1:9", false, []string{"X-Forwarded-For: 203.0.113.7, 10.2.2.2", "X-Forwarded-Proto: http,https"}, false},
		"the client's invention":        {"10.0.0.1:9", false, []string{"X-Forwarded-For: 8.8.8.8, 203.0.113.7", "X-Forwarded-Proto: https,http"}, false},
		"an invention for the scheme":   {"10.0.0.1:9", false, []string{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https,http"}, false},
		"an invention for the address":  {"10.0.0.1:9", false, []string{"X-Forwarded-For: 8.8.8.8, 203.0.113.7", "X-Forwarded-Proto: http"}, false},
		"three proxies, one overwrites": {"10.0.0.1:9", false, []string{"X-Forwarded-For: 203.0.113.7, 10.2.2.2, 10.3.3.3", "X-Forwarded-Proto: https"}, true},
		"Forwarded":                     {"10.0.0.1:9", false, []string{`Forwarded: for=203.0.113.7;proto="https"`}, true},
		"Forwarded, wss":                {"10.0.0.1:9", false, []string{"Forwarded: proto=WSS"}, true},
		"Forwarded, plain":              {"10.0.0.1:9", true, []string{"Forwarded: for=203.0.113.7;proto=http"}, false},
		"Forwarded, the client's":       {"10.0.0.1:9", false, []string{"Forwarded: for=8.8.8.8;proto=http, for=203.0.113.7;proto=https, for=10.2.2.2;proto=http"}, true},
		"Forwarded, an invention":       {"10.0.0.1:9", false, []string{"Forwarded: for=8.8.8.8;proto=https, for=203.0.113.7;proto=http"}, false},
		"Forwarded, an open quote":      {"10.0.0.1:9", false, []string{`Forwarded: proto=https;for=", for=203.0.113.7;proto=http`}, false},
		"Forwarded, hidden client":      {"10.0.0.1:9", false, []string{"Forwarded: for=_hidden;proto=https"}, true},
		"Forwarded, nothing of it":      {"10.0.0.1:9", false, []string{"Forwarded: for=8.8.8.8;proto=https, for=203.0.113.7"}, false},
		"both, of one mind":             {"10.0.0.1:9", false, []string{"Forwarded: for=203.0.113.7;proto=https", "X-Forwarded-Proto: wss"}, true},
		"both, and one is passed on":    {"10.0.0.1:9", false, []string{"Forwarded: for=8.8.8.8;proto=https", "X-Forwarded-Proto: http"}, false},
		"both, the other is":            {"10.0.0.1:9", false, []string{"Forwarded: for=203.0.113.7;proto=http", "X-Forwarded-Proto: https"}, false},
		"both, over TLS":                {"10.0.0.1:9", true, []string{"Forwarded: for=203.0.113.7;proto=http", "X-Forwarded-Proto: https"}, true},
		"both, and one is silent":       {"10.0.0.1:9", false, []string{"Forwarded: for=203.0.113.7", "X-Forwarded-Proto: https"}, true},
		"both, one of a proxy":          {"10.0.0.1:9", false, []string{"Forwarded: for=203.0.113.7;proto=https", "X-Forwarded-For: 10.2.2.2", "X-Forwarded-Proto: http"}, true},
		"both, the other of a proxy":    {"10.0.0.1:9", false, []string{"Forwarded: for=10.2.2.2;proto=http", "X-Forwarded-For: 203.0.113.7,10.2.2.2", "X-Forwarded-Proto: https"}, true},
		"what isn't read":               {"10.0.0.1:9", false, []string{"X-Forwarded-Ssl: on", "Front-End-Https: on", "X-Forwarded-Port: 443", "X-Url-Scheme: https"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(c.remote, c.lines...)
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			require.Equal(t, c.want, proxies(t, forwarded.Any, "10.0.0.0/8").HTTPS(r))
		})
	}
}

func TestNobodyIsTrustedByDefault(t *testing.T) {
	var p forwarded.Proxies
	r := request("10.0.0.1:9", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")
	require.Equal(t, "10.0.0.1", p.Addr(r))
	require.False(t, p.HTTPS(r))
	require.Equal(t, "X-Forwarded-For", p.Ignored(r))
}

func TestIgnoredHeaderIsNamed(t *testing.T) {
	p := proxies(t, forwarded.Any, "10.0.0.0/8")
	for line, want := range map[string]string{
		"X-Forwarded-For: 1": "X-Forwarded-For", "x-forwarded-proto: https": "X-Forwarded-Proto", "Forwarded: for=1": "Forwarded", "Accept: *": "",
	} {
		require.Equal(t, want, p.Ignored(request("192.0.2.1:9", line)))
		require.Empty(t, p.Ignored(request("10.0.0.1:9", line)))
	}
	require.Equal(t, "192.0.2.1", forwarded.Peer(request("192.0.2.1:9")))
	require.Equal(t, "unix", forwarded.Peer(request("@")))
	require.Equal(t, "pipe", forwarded.Peer(request("pipe")))
}

func TestEntryThatIsNoProxyIsRefused(t *testing.T) {
	for _, text := range []string{"", "proxy.local", "10.0.0.0/33", "10.0.0.1:80", "[::1]", "fe80::1%eth0/64", "UNIX", "unix:", "/run/proxy.sock", "*", " 10.0.0.1"} {
		_, i, err := forwarded.New([]string{"10.0.0.1", "unix", text, "10.0.0.2"}, forwarded.Any)
		require.ErrorContains(t, err, fmt.Sprintf("%q", text))
		require.Equal(t, 2, i)
	}
}

// For all headers that a client sends, its address is its own, or the peer's if it has made two
// families of headers contradict each other. Its scheme never becomes https.
func FuzzForwarded(f *testing.F) {
	for _, s := range []struct{ x, proto, std string }{
		{"8.8.8.8", "https", "for=8.8.8.8;proto=https"},
		{"10.0.0.2", "https,https", `for="8.8.8.8`},
		{`"`, `"`, `for="a\`},
		{", ,", ",", ", ,"},
		{"unix:", "wss", `for="[::1]:1";proto="https`},
		{"unknown", "x", "for=_x, for=unknown"},
		{"[::ffff:10.0.0.3]:1", "https, http, https", "proto=https;proto=http"},
		{"fe80::1%a", "", "=;=,;"},
	} {
		f.Add(s.x, s.proto, s.std)
	}
	p := proxies(f, forwarded.Any, "10.0.0.0/8")
	onlyX, onlyStd := proxies(f, forwarded.OnlyXForwarded, "10.0.0.0/8"), proxies(f, forwarded.OnlyForwarded, "10.0.0.0/8")
	const client, peer = "203.0.113.7", "10.0.0.1"
	f.Fuzz(func(t *testing.T, x, proto, std string) {
		// The proxy appends to X-Forwarded-For, sets X-Forwarded-Proto, and forwards Forwarded.
		nginx := request(peer+":9", "Forwarded:"+std)
		nginx.Header["X-Forwarded-For"] = []string{x + ", " + client}
		nginx.Header["X-Forwarded-Proto"] = []string{"http"}
		require.Contains(t, []string{client, peer}, p.Addr(nginx))
		require.Equal(t, client, onlyX.Addr(nginx))
		require.False(t, p.HTTPS(nginx) || onlyX.HTTPS(nginx))

		// The proxy appends to Forwarded, and forwards the others.
		haproxy := request(peer+":9", "X-Forwarded-For:"+x, "X-Forwarded-Proto:"+proto)
		haproxy.Header["Forwarded"] = []string{std + `, proto=http;for="` + client + `:99"`}
		require.Contains(t, []string{client, peer}, p.Addr(haproxy))
		require.Equal(t, client, onlyStd.Addr(haproxy))
		require.False(t, p.HTTPS(haproxy) || onlyStd.HTTPS(haproxy))

		// No proxy appends anything: the result is valid nevertheless.
		raw := request(peer+":9", "X-Forwarded-For:"+x, "Forwarded:"+std)
		if addr := p.Addr(raw); addr != "unix" {
			ip, err := netip.ParseAddr(addr)
			require.NoError(t, err)
			require.Equal(t, ip.WithZone("").Unmap().String(), addr)
		}
	})
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.77":             "192.0.2.0/24",
		"::ffff:192.0.2.77":      "192.0.2.0/24",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1::/48",
		"fe80::1%eth0":           "fe80::/48",
		"unix":                   "",
		"":                       "",
		"192.0.2.77, 192.0.2.78": "",
	} {
		require.Equal(t, want, forwarded.Network(addr), addr)
	}
}

// A text is cut in front of a character, not inside one; text that isn't UTF-8 is cut, too.
func TestTextIsCutBetweenCharacters(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want int // bytes of it
	}{
		"short":              {"Ł", 2},
		"as long as allowed": {strings.Repeat("x", 254) + "Ł", 256},
		"two bytes":          {strings.Repeat("x", 255) + "Ł", 255},
		"three bytes":        {strings.Repeat("x", 254) + "€ and more", 254},
		"four bytes":         {strings.Repeat("x", 253) + "😀", 253},
		"after a character":  {strings.Repeat("x", 252) + "😀😀", 256},
		"not UTF-8":          {strings.Repeat("\x80", 300), 252},
	} {
		require.Equal(t, c.text[:c.want], forwarded.Text(c.text), name)
	}
	whole := forwarded.Recording{}
	require.Equal(t, strings.Repeat("x", 255), whole.UserAgent(strings.Repeat("x", 255)+"Ł"))
}

func TestRecording(t *testing.T) {
	const addr, agent = "192.0.2.77", "curl/8"
	whole := forwarded.Recording{}
	require.Equal(t, addr, whole.Addr(addr))
	require.Equal(t, agent, whole.UserAgent(agent))
	require.Len(t, whole.UserAgent(strings.Repeat("x", 1000)), forwarded.MaxText)
	nothing := forwarded.Recording{Addrs: forwarded.Nothing, UserAgents: forwarded.Nothing}
	require.Empty(t, nothing.Addr(addr))
	require.Empty(t, nothing.UserAgent(agent))
	network := forwarded.Recording{Addrs: forwarded.NetworkOnly}
	require.Equal(t, "192.0.2.0/24", network.Addr(addr))
}

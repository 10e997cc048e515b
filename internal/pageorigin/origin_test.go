package pageorigin_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/pageorigin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func compile(t testing.TB, patterns ...string) *pageorigin.Patterns {
	t.Helper()
	p, _, err := pageorigin.Compile(patterns)
	require.NoError(t, err)
	return &p
}

func TestPagesOfTheSameHost(t *testing.T) {
	for _, c := range []struct {
		origin, host string
		plain, https bool // allowed if the site is on HTTP, or may be; allowed if it is on HTTPS
	}{
		{"http://app.test", "app.test", true, false},
		{"https://app.test", "app.test", true, true}, // TLS may end at a proxy that isn't configured as trusted
		{"https://app.test", "app.test:443", true, true},
		{"https://app.test:443", "app.test", true, true},
		{"https://app.test:0443", "app.test:443", true, true},
		{"http://app.test", "app.test:80", true, false},
		{"http://app.test:80", "app.test", true, false},
		{"http://app.test", "app.test:443", false, false},
		{"https://app.test", "app.test:80", false, false},
		{"https://app.test", "app.test:8443", false, false},
		{"https://app.test:8443", "app.test", false, false},
		{"https://app.test:8443", "app.test:8443", true, true},
		{"http://app.test:8443", "app.test:8443", true, false},
		{"http://app.test:8080", "app.test:8081", false, false},
		{"HTTPS://APP.test", "app.TEST", true, true},
		{"https://app.test.", "app.test", true, true},
		{"https://app.test", "app.test.:443", true, true},
		{"https://xn--bcher-kva.test", "XN--BCHER-kva.test", true, true},
		{"https://[2001:db8::1]", "[2001:DB8:0:0::1]:443", true, true},
		{"http://[::1]:8080", "[0:0:0:0:0:0:0:1]:8080", true, false},
		{"http://[::1]:8080", "[::1]", false, false},
		{"http://127.0.0.1:8080", "127.0.0.1:8080", true, false},
		{"https://app.test", "app.test:", true, true},
		{"https://evil.test", "app.test", false, false},
		{"https://app.test.evil.test", "app.test", false, false},
		{"https://evilapp.test", "app.test", false, false},
		{"ws://app.test", "app.test", false, false},
		{"capacitor://app.test", "app.test", false, false},
		{"chrome-extension://app.test", "app.test", false, false},
		{"file://", "app.test", false, false},
		{"file://", "", false, false},
		{"null", "null", false, false},
		{"null", "app.test", false, false},
		{"https://null", "null", true, true},
		{"https://", "", false, false},
		{"https://.", ".", false, false},
		{"https://app.test/", "app.test", false, false},
		{"https://app.test/path", "app.test", false, false},
		{"https://app.test?q", "app.test", false, false},
		{"https://app.test#f", "app.test", false, false},
		{"https://user@app.test", "app.test", false, false},
		{"https://app.test@evil.test", "app.test", false, false},
		{"https://evil.test\\@app.test", "app.test", false, false},
		{"https://app.test https://evil.test", "app.test", false, false},
		{" https://app.test", "app.test", false, false},
		{"https://app.test:99999", "app.test:99999", false, false},
		{"https://app.test:+443", "app.test", false, false},
		{"https://app.test:", "app.test", true, true},
		{"https://[::1", "[::1", false, false},
		{"https://[app.test]", "[app.test]", false, false},
		{"https://[fe80::1%25eth0]", "[fe80::1%25eth0]", false, false},
		{"https://::1", "[::1]", false, false},
		{"//app.test", "app.test", false, false},
		{"app.test", "app.test", false, false},
		{"://", "app.test", false, false},
		{"https:app.test", "app.test", false, false},
		{"", "", false, false},
	} {
		var p pageorigin.Patterns
		require.Equal(t, c.plain, p.Allows(c.origin, c.host, false), "%q at %q", c.origin, c.host)
		require.Equal(t, c.https, p.Allows(c.origin, c.host, true), "%q at %q, on HTTPS", c.origin, c.host)
	}
}

func TestPagesThatPatternsName(t *testing.T) {
	for pattern, c := range map[string]struct{ yes, no []string }{
		"app.test":              {[]string{"https://app.test", "https://APP.test.", "https://app.test:443"}, []string{"https://app.test:8443", "https://www.app.test", "null", "file://"}},
		"App.Test.":             {[]string{"https://app.test"}, []string{"https://app.test.evil.test"}},
		"app.test/":             {[]string{"https://app.test"}, []string{"https://app.test/"}},
		"https://app.test/":     {[]string{"https://app.test", "https://app.test:443"}, []string{"http://app.test", "https://app.test:8443"}},
		"HTTPS://APP.TEST:443":  {[]string{"https://app.test"}, []string{"https://app.test:8443"}},
		"http://app.test":       {[]string{"http://app.test", "http://app.test:80"}, []string{"https://app.test", "http://app.test:443"}},
		"http*://app.test":      {[]string{"http://app.test", "https://app.test"}, []string{"capacitor://app.test"}},
		"app.test:8443":         {[]string{"https://app.test:8443"}, []string{"https://app.test", "http://app.test:8443"}},
		"app.test:*":            {[]string{"https://app.test:8443", "https://app.test"}, []string{"http://app.test:80"}},
		"app.test:08443":        {[]string{"https://app.test:8443"}, nil},
		"*.app.test":            {[]string{"https://a.app.test", "https://a.b.app.test"}, []string{"https://app.test", "https://evilapp.test", "https://a.app.test.evil.test", "https://a.app.test:1"}},
		"*":                     {[]string{"https://x.test", "https://x.test:99", "https://[::1]:9", "chrome-extension://abc"}, []string{"null", "file://", "http://x.test", "https://x.test/"}},
		"*://*":                 {[]string{"https://x.test", "http://x.test:99"}, []string{"null", "file://"}},
		"[2001:DB8:0::1]":       {[]string{"https://[2001:db8::1]", "https://[2001:db8:0:0::1]:443"}, []string{"https://[2001:db8::2]", "https://2", "https://[2001:db8::1]:8443"}},
		"2001:db8::1":           {[]string{"https://[2001:db8::1]"}, []string{"https://[2001:db8::2]"}},
		`\[2001:db8::1\]:8443`:  {[]string{"https://[2001:db8::1]:8443"}, []string{"https://[2001:db8::1]"}},
		"https://[::1]:80*/":    {[]string{"https://[::1]:8080", "https://[::1]:80"}, []string{"https://[::1]", "http://[::1]:8080"}},
		"[ab].test":             {[]string{"https://a.test", "https://b.test"}, []string{"https://c.test", "https://[ab].test"}},
		"app-?.test":            {[]string{"https://app-1.test"}, []string{"https://app-10.test"}},
		"null":                  {[]string{"null"}, []string{"https://null", "file://"}},
		"file://":               {[]string{"file://"}, []string{"null", "file:///etc/passwd"}},
		"file:///":              {[]string{"file://"}, nil},
		"capacitor://localhost": {[]string{"capacitor://localhost"}, []string{"https://localhost", "ionic://localhost"}},
		"chrome-extension://*":  {[]string{"chrome-extension://abcdef"}, []string{"moz-extension://abcdef", "https://abcdef"}},
		"app://.":               {[]string{"app://."}, []string{"app://x"}},
		"xn--bcher-kva.test":    {[]string{"https://XN--bcher-kva.test"}, nil},
		"127.0.0.1:3000":        {[]string{"https://127.0.0.1:3000"}, []string{"http://127.0.0.1:3000"}},
	} {
		p := compile(t, "first.test", pattern)
		for _, text := range c.yes {
			require.True(t, p.Allows(text, "host.test", true), "%q by %q", text, pattern)
			require.True(t, p.Allows(text, "host.test", false), "%q by %q", text, pattern)
		}
		for _, text := range c.no {
			require.False(t, p.Allows(text, "host.test", true), "%q by %q", text, pattern)
		}
		require.True(t, p.Allows("https://first.test", "host.test", true))
		require.True(t, p.Allows("https://host.test", "host.test", true), "the same host needs no pattern")
	}
	require.True(t, compile(t, "app.test").Allows("http://app.test", "host.test", false), "a site that is not on HTTPS allows both schemes")
}

func TestPatternThatIsNotUnderstoodIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "/", "://", "https://", "https:///", "://app.test", "app.test/path", "https://app.test/path", "https://app.test//", "app.test,b.test", "a b",
		" app.test", "user@app.test", "https://app.test#f", "app.test:", "app.test:http", "app.test:0", "app.test:70000", "wss://app.test", "WS://app.test",
		"[a", "[::1", "::1]", "[::1]x", "[app:test]", "[2001:db8::*]", "fe80::1%eth0", "[fe80::1%eth0]:80", "[127.0.0.1:80]", ".app.test", "app..test", ".", "bücher.test",
		"https://bücher.test", "*://", "a:b:c", "capacitor://a/b", "mailto:a@b", `app\.test`, "[b-a].test:80[", "nul*://",
	} {
		_, i, err := pageorigin.Compile([]string{"app.test", text, "b.test"})
		require.Error(t, err, "%q", text)
		require.Contains(t, err.Error(), `"`, "the pattern is quoted")
		require.Equal(t, 1, i, "%q", text)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST.:3000": true, "app.localhost:1": true, "127.0.0.1": true, "127.9.9.9:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]": true,
		"app.test": false, "localhost.evil.test": false, "evillocalhost": false, "10.0.0.1": false, "[2001:db8::1]": false, "": false, "::1": false,
	} {
		require.Equal(t, want, pageorigin.IsLoopback(host), host)
	}
}

// Every allowed origin is the host itself or below the domain of a pattern, and isn't plain HTTP if
// the site is on HTTPS.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{
		"https://app.test", "http://app.test:80", "https://a.friend.test", "https://friend.test", "https://a.friend.test@evil.test", "https://[::1]:443",
		"null", "file://", "https://app.test\x00.evil.test", "https://evil.test/.friend.test", "https://evil.test\\.friend.test", "HTTPS://A.FRIEND.TEST.:443", "https://a.friend.test:1",
	} {
		f.Add(s)
	}
	p := compile(f, "*.friend.test", "https://[::1]")
	f.Fuzz(func(t *testing.T, text string) {
		if !p.Allows(text, "app.test:443", true) {
			return
		}
		require.True(t, p.Allows(text, "APP.test.", true), "the spelling of the host doesn't matter")
		rest, ok := strings.CutPrefix(strings.ToLower(text), "https://")
		if !ok {
			require.True(t, strings.HasSuffix(strings.TrimSuffix(strings.ToLower(text), "."), ".friend.test"), text) // of a scheme other than http and https
			require.False(t, strings.HasPrefix(strings.ToLower(text), "http:"))
			return
		}
		require.NotContains(t, rest, "/")
		require.NotContains(t, rest, "@")
		host := strings.TrimSuffix(strings.TrimRight(strings.TrimRight(rest, "0123456789"), ":"), ".")
		require.True(t, host == "app.test" || strings.HasSuffix(host, ".friend.test") || strings.HasPrefix(host, "["), text)
	})
}

func TestPatternsForAnyHost(t *testing.T) {
	for _, all := range []string{"*", "*.*", "https://*", "http://*/", "*://*", "*.*.*", "?*"} {
		require.Equal(t, all != "*.*.*", pageorigin.AnyHost(all), all)
	}
	for _, some := range []string{"*.com", "*.b1.test", "https://*.example", "null", "file://", "a0.invalid", "localhost:*", "chrome-extension://*", ""} {
		require.False(t, pageorigin.AnyHost(some), some)
	}
}

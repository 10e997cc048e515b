package credentials_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The cookies that a browser withholds depend on the mode, on Sec-Fetch-Site, and without that on
// Origin and Referer.
func TestRequestsOfOtherSitesAreRecognised(t *testing.T) {
	const neither, strict, both = 0, 1, 2 // the modes in which the browser withholds its cookies
	allow := func(cfg *config) { cfg.OriginAllowed = func(*http.Request) bool { return true } }
	refuse := func(cfg *config) { cfg.OriginAllowed = func(*http.Request) bool { return false } }
	from := func(site, mode, dest string) []string {
		return []string{"Sec-Fetch-Site", site, "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", dest}
	}
	domain := func(cfg *config) { cfg.Domain = ".example.com" }
	modes := map[http.SameSite]int{
		http.SameSiteStrictMode: strict, http.SameSiteLaxMode: both, http.SameSiteDefaultMode: both,
	}
	for name, c := range map[string]struct {
		change   func(*config)
		method   string
		header   []string
		withheld int
	}{
		"a program":                   {nil, "POST", nil, neither},
		"the address bar":             {nil, "GET", []string{"Sec-Fetch-Site", "none"}, neither},
		"this site":                   {nil, "POST", []string{"Sec-Fetch-Site", "same-origin"}, neither},
		"a sibling host":              {nil, "POST", append(from("same-site", "cors", "empty"), "Origin", "https://b.test"), neither},
		"a link":                      {nil, "GET", from("cross-site", "navigate", "document"), strict},
		"a frame":                     {nil, "GET", from("cross-site", "navigate", "iframe"), both},
		"an image":                    {nil, "GET", from("cross-site", "no-cors", "image"), both},
		"a form":                      {nil, "POST", from("cross-site", "navigate", "document"), both},
		"old browser, form":           {nil, "POST", []string{"Origin", "https://evil.test"}, both},
		"old browser, own form":       {nil, "POST", []string{"Origin", "http://EXAMPLE.com:8080"}, neither},
		"old browser, link":           {nil, "GET", []string{"Referer", "https://evil.test/page"}, strict},
		"old browser, own link":       {nil, "GET", []string{"Referer", "http://example.com/page"}, neither},
		"sandboxed frame":             {nil, "POST", []string{"Origin", "null"}, both},
		"no URL":                      {nil, "POST", []string{"Origin", "http://[::1"}, both},
		"a host below the domain":     {domain, "POST", []string{"Origin", "https://a.b.Example.com"}, neither},
		"the domain itself":           {domain, "POST", []string{"Origin", "https://example.com"}, neither},
		"a host that only ends in it": {domain, "POST", []string{"Origin", "https://badexample.com"}, both},
		"an allowed origin":           {allow, "POST", []string{"Origin", "https://shop.test"}, neither},
		"a refused origin":            {refuse, "POST", []string{"Origin", "https://shop.test"}, both},
	} {
		for mode, when := range modes {
			codec := newCodec(func(cfg *config) {
				cfg.SameSite = mode
				if c.change != nil {
					c.change(cfg)
				}
			})
			r := get(c.header...)
			r.Method = c.method
			x := read(codec, r, false)
			x.answer.SetSession(cred, time.Hour)
			to := response{Request: r, Created: true, Guest: true}
			codec.AskOrigin(&to)
			effects, err := x.answer.WriteTo(make(http.Header), to)
			require.NoError(t, err)
			require.Equal(t, c.withheld >= when, effects.Withheld, "%s, mode %d", name, mode)
		}
	}
	for host, origin := range map[string]string{
		"[::1]:8080": "http://[::1]:9090", "[::1]": "http://[::1]", "example.com": "https://example.com",
	} {
		r := get("Origin", origin)
		r.Method, r.Host = http.MethodPost, host
		x := read(newCodec(nil), r, false)
		x.answer.SetSession(cred, time.Hour)
		effects, err := x.answer.WriteTo(make(http.Header), response{Request: r, Created: true, Guest: true})
		require.NoError(t, err)
		require.False(t, effects.Withheld, host)
	}
}

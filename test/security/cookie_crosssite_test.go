package security_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The origins of a request, by its headers.
var (
	typedIn      = []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	ownLink      = []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	siblingLink  = []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	foreignLink  = []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	foreignFrame = []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}
	foreignImage = []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}
	foreignFetch = []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", "https://evil.test"}
)

// TestClientCookieOfACookielessRequest: if the browser may have one that it hasn't sent, none is
// set.
func TestClientCookieOfACookielessRequest(t *testing.T) {
	const lax, strict, none = http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode
	all := []http.SameSite{lax, strict, none}
	for name, c := range map[string]struct {
		method string
		header []string
		set    []http.SameSite
	}{
		"the address bar":                       {"GET", typedIn, all},
		"a link of ours":                        {"GET", ownLink, all},
		"a form of ours":                        {"POST", ownLink, all},
		"a sibling's link":                      {"GET", siblingLink, all},
		"a sibling's form":                      {"POST", siblingLink, all},
		"another site's link":                   {"GET", foreignLink, []http.SameSite{lax, none}},
		"another site's link, only the header":  {"HEAD", foreignLink, []http.SameSite{lax, none}},
		"another site's form":                   {"POST", foreignLink, nil},
		"another site's frame":                  {"GET", foreignFrame, nil},
		"another site's image":                  {"GET", foreignImage, nil},
		"another site's script":                 {"GET", foreignFetch, nil},
		"a program":                             {"POST", nil, all},
		"an old browser, the address bar":       {"GET", nil, all},
		"an old browser, a form of ours":        {"POST", []string{"Origin", "https://example.com"}, all},
		"an old browser, our other port":        {"POST", []string{"Origin", "https://example.com:8443"}, all},
		"an old browser, our link":              {"GET", []string{"Referer", "https://example.com/page"}, all},
		"an old browser, another site's form":   {"POST", []string{"Origin", "https://evil.test"}, nil},
		"an old browser, a sandboxed form":      {"POST", []string{"Origin", "null"}, nil},
		"an old browser, another site's link":   {"GET", []string{"Referer", "https://evil.test/"}, []http.SameSite{lax, none}},
		"an old browser, no Origin with a POST": {"POST", []string{"Referer", "https://evil.test/"}, nil},
	} {
		for _, mode := range all {
			for _, eager := range []bool{false, true} {
				_, h := slotApp(t, livestore.New(), bridge.Options{SameSite: mode, Secure: bridge.SecureAlways, EagerClient: eager})
				path := map[bool]string{false: "/client", true: "/plain"}[eager]
				w := newTab(t).visit(h, c.method+" https://example.com"+path, c.header...)
				require.Equal(t, http.StatusOK, w.Code)
				if slices.Contains(c.set, mode) {
					require.Equal(t, []string{"__Host-sid.cid"}, names(w), "%s, %v, eager %t", name, mode, eager)
				} else {
					require.Empty(t, names(w), "%s, %v, eager %t", name, mode, eager)
				}
			}
		}
	}
}

// TestADomainOfOursIsNoOtherSite: an old browser doesn't send Sec-Fetch-Site, but the cookies'
// Domain covers the host.
func TestADomainOfOursIsNoOtherSite(t *testing.T) {
	_, h := slotApp(t, livestore.New(), bridge.Options{Domain: "example.test"})
	for origin, want := range map[string]int{
		"https://example.test": 1, "https://www.example.test": 1, "https://a.b.example.test:8443": 1, "https://badexample.test": 0, "https://evil.test": 0,
	} {
		require.Len(t, names(newTab(t).visit(h, "POST http://shop.example.test/client", "Origin", origin)), want, origin)
	}
}

// A proxy that changes the Host header: the site's own origin is in OriginPatterns.
func TestAnOriginInTheOptionsIsNoOtherSite(t *testing.T) {
	_, h := slotApp(t, livestore.New(), bridge.Options{OriginPatterns: []string{"shop.test"}})
	for origin, want := range map[string]int{"https://shop.test": 1, "https://evil.test": 0} {
		require.Len(t, names(newTab(t).visit(h, "POST http://internal:8080/client", "Origin", origin)), want, origin)
	}
}

// The browser of a user who is logged in follows another site's link, or posts another site's form.
// It has sent no cookies, but has some.
func TestRequestsWithoutTheirCookiesReplaceNone(t *testing.T) {
	pages := []string{"/plain", "/client", "/get", "/inc", "/set", "/rotate", "/logout", "/id"}
	for name, c := range map[string]struct {
		mode   http.SameSite
		method string
		header []string
	}{
		"a form":                    {http.SameSiteLaxMode, "POST", foreignLink},
		"a form, default mode":      {http.SameSiteDefaultMode, "POST", foreignLink},
		"a form, strict":            {http.SameSiteStrictMode, "POST", foreignLink},
		"a link, strict":            {http.SameSiteStrictMode, "GET", foreignLink},
		"a form, old browser":       {http.SameSiteLaxMode, "POST", []string{"Origin", "https://evil.test"}},
		"a link, strict, no TLS":    {http.SameSiteStrictMode, "GET", []string{"Referer", "http://evil.test/"}},
		"a form, sandboxed, strict": {http.SameSiteStrictMode, "POST", []string{"Origin", "null"}},
	} {
		for _, opts := range []bridge.Options{{}, {StrictBinding: true}, {EagerClient: true}, {StrictBinding: true, EagerClient: true}} {
			for _, path := range pages {
				opts.SameSite = c.mode
				opts.ClearSiteData = []string{"*"}
				b, h := slotApp(t, livestore.New(), opts)
				ada := newTab(t)
				ada.ok(h, shop+"/login?user=ada")
				r := requestTo(t, c.method+" "+shop+path, c.header...)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r) // without cookies, because of SameSite
				require.Equal(t, http.StatusOK, w.Code)
				require.Empty(t, w.Header()["Set-Cookie"], "%s %s", name, path)
				require.Empty(t, w.Header()["Clear-Site-Data"], "%s %s", name, path)
				ada.keep(w, shop)
				require.Equal(t, "ada", ada.ok(h, shop+"/who"), "%s %s", name, path)
				require.Zero(t, b.Stats().Mismatches)
			}
		}
	}
}

// A login from another site sets cookies although the request has none: an identity provider
// answers with a form that posts to the application (OAuth form_post).
func TestALoginFromAnotherSiteSetsBothCookies(t *testing.T) {
	for _, mode := range []http.SameSite{http.SameSiteLaxMode, http.SameSiteStrictMode} {
		for _, method := range []string{"GET", "POST"} {
			b, h := slotApp(t, livestore.New(), bridge.Options{SameSite: mode, StrictBinding: true})
			visitor := newTab(t)
			visitor.ok(h, shop+"/inc")
			r := requestTo(t, method+" "+shop+"/login?user=ada", foreignLink...)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.ElementsMatch(t, []string{"sid", "sid.cid"}, names(w))
			visitor.keep(w, shop)
			require.Equal(t, "ada", visitor.ok(h, shop+"/who"))
			require.Zero(t, b.Stats().Mismatches)
		}
	}
}

// Cookies with SameSite=None are always sent: a browser that sends none has none.
func TestEmbeddedPagesKeepTheirSession(t *testing.T) {
	_, h := slotApp(t, livestore.New(), bridge.Options{SameSite: http.SameSiteNoneMode, Secure: bridge.SecureAlways})
	p := webclient.Pocket{}
	r := requestTo(t, "https://example.com/inc", foreignFrame...)
	require.Equal(t, "1", p.Send(h, r).Body.String())
	require.Len(t, p, 2)
	require.Equal(t, "2", p.Send(h, requestTo(t, "POST https://example.com/inc", foreignFrame...)).Body.String())
}

// Two requests of a browser without cookies are answered in any order; one of them logs in.
func TestParallelFirstRequests(t *testing.T) {
	for _, opts := range []bridge.Options{{}, {StrictBinding: true}, {EagerClient: true}} {
		for _, other := range []string{"/plain", "/get", "/who", "/id"} {
			for _, loginFirst := range []bool{false, true} {
				for _, answeredFirst := range []bool{false, true} {
					b, h := slotApp(t, livestore.New(), opts)
					ada := newTab(t)
					fetch := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}
					paths := []string{other, "/login?user=ada"}
					if loginFirst {
						paths[0], paths[1] = paths[1], paths[0]
					}
					first, second := ada.ask(h, shop+paths[0], fetch...), ada.ask(h, shop+paths[1], fetch...)
					if answeredFirst {
						first, second = second, first
					}
					ada.keep(first, shop)
					ada.keep(second, shop)
					for range 3 {
						require.Equal(t, "ada", ada.ok(h, shop+"/who"), "%s, %+v", other, opts)
					}
					require.Zero(t, b.Stats().Mismatches, "%s, %+v", other, opts)
				}
			}
		}
	}
}

// A session cookie always brings the client cookie of its session.
func TestSessionCookieComesWithItsClientCookie(t *testing.T) {
	b, h := slotApp(t, livestore.New(), bridge.Options{RotateGrace: 1})
	both := []string{"sid", "sid.cid"}
	p := webclient.Pocket{}
	for _, path := range []string{"/inc", "/login?user=ada", "/rotate", "/login?user=bob"} {
		w := p.Get(t, h, path)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, both, names(w), path)
		mine := maps.Clone(p)
		require.Equal(t, p["sid.cid"], mine["sid.cid"])
	}
	require.Equal(t, []string{"sid"}, names(p.Get(t, h, "/logout")), "the browser is still the same")
	require.Empty(t, names(p.Get(t, h, "/get")))
	require.Equal(t, both, names(p.Get(t, h, "/inc")))
	require.Zero(t, b.Stats().Mismatches)
}

func TestSessionCookieComesWithItsClientCookie_Elsewhere(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{})
	a.SessionPage("/short", func(s *bridge.Session) (any, error) { s.SetLifetime(3600e9); return "short", nil })
	a.Mux.HandleFunc("/handed", func(_ http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		require.NoError(t, s.Rotate())
		require.Len(t, a.HandshakeHeader(r)["Set-Cookie"], 2)
	})
	a.Mux.HandleFunc("/gorilla", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Gorilla().Get(r, "any")
		require.NoError(t, err)
		s.Values["k"] = "v"
		require.NoError(t, s.Save(r, w))
	})
	a.Mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Rotate() }, nil))
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("k", "late")
		st.Next(1, "Set", teststore.Refuse(teststore.ErrOutage))
		w.WriteHeader(http.StatusOK)
	})
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	for _, path := range []string{"/gorilla", "/short", "/handed", "/fails"} {
		w := p.Get(t, h, path)
		require.Equal(t, []string{"sid", "sid.cid"}, names(w), path)
		if path == "/fails" {
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		}
	}
	require.Zero(t, a.Stats().Mismatches)
}

// A browser that knows no Max-Age forgets a removed cookie, too.
func TestRemovalCookiesExpire(t *testing.T) {
	_, h := slotApp(t, livestore.New(), bridge.Options{})
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	lines := p.Get(t, h, "/logout").Header()["Set-Cookie"]
	require.Len(t, lines, 1)
	require.Contains(t, strings.Split(lines[0], "; "), "Max-Age=0")
	require.Contains(t, strings.Split(lines[0], "; "), "Expires=Thu, 01 Jan 1970 00:00:00 GMT")
	require.Empty(t, p["sid"])
}

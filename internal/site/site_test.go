package site_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/site"
)

func invalid(field, format string, args ...any) error {
	return fmt.Errorf(field+": "+format, args...)
}

// newSite returns a Site and what it logs.
func newSite(t *testing.T, cfg site.Config) (*site.Site, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := site.New(cfg, invalid)
	require.NoError(t, err)
	require.NoError(t, s.CheckDanger(invalid))
	return s, &log
}

// handshake returns a WebSocket handshake for the host, from a page of the origin; "" is no page.
func handshake(url, origin string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("Upgrade", "websocket")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	return r
}

func TestWhatExposesCredentialsIsRefused(t *testing.T) {
	for field, cfg := range map[string]site.Config{
		"OriginPatterns[0]: ": {OriginPatterns: []string{"*"}},
		"OriginPatterns[1]: ": {OriginPatterns: []string{"app.example.com", "https://*"}},
		"Secure: ":            {Secure: site.Never},
	} {
		cfg.Logger = slog.New(slog.DiscardHandler)
		s, err := site.New(cfg, invalid)
		require.NoError(t, err)
		err = s.CheckDanger(invalid)
		require.ErrorContains(t, err, field)
		require.ErrorContains(t, err, "DangerouslyInsecure allows it")
		cfg.Insecure = true
		_, log := newSite(t, cfg)
		require.Contains(t, log.String(), "DangerouslyInsecure is set")
	}
}

func TestNewNamesAnInvalidField(t *testing.T) {
	for field, cfg := range map[string]site.Config{
		"OriginPatterns[1]: ": {OriginPatterns: []string{"a.example", "https://"}},
		"TrustedProxies[1]: ": {Proxies: []string{"10.0.0.0/8", "proxy"}, Insecure: true},
	} {
		cfg.Logger = slog.New(slog.DiscardHandler)
		_, err := site.New(cfg, invalid)
		require.ErrorContains(t, err, field)
	}
}

func TestSecureFollowsTheConnectionTheProxyAndTheOperator(t *testing.T) {
	plain := httptest.NewRequest(http.MethodGet, "http://app.example.com/", nil)
	encrypted := httptest.NewRequest(http.MethodGet, "http://app.example.com/", nil)
	encrypted.TLS = &tls.ConnectionState{}
	proxied := httptest.NewRequest(http.MethodGet, "http://app.example.com/", nil)
	proxied.Header.Set("X-Forwarded-Proto", "https")
	for _, c := range []struct {
		cfg                       site.Config
		plain, encrypted, proxied bool
	}{
		{site.Config{}, false, true, false},
		{site.Config{Proxies: []string{"192.0.2.1"}}, false, true, true}, // the peer of httptest
		{site.Config{Secure: site.Always}, true, true, true},
		{site.Config{Secure: site.Never, Insecure: true}, false, false, false},
	} {
		s, _ := newSite(t, c.cfg)
		require.Equal(t, c.plain, s.Secure(plain), "%+v", c.cfg)
		require.Equal(t, c.encrypted, s.Secure(encrypted), "%+v", c.cfg)
		require.Equal(t, c.proxied, s.Secure(proxied), "%+v", c.cfg)
	}
}

func TestHandshakesNeedTLSExceptToThisMachine(t *testing.T) {
	for _, c := range []struct {
		cfg  site.Config
		host string
		want error
	}{
		{site.Config{}, "app.example.com", errorcodes.ErrPlainHTTP},
		{site.Config{}, "app.localhost:8080", nil},
		{site.Config{}, "127.0.0.1", nil},
		{site.Config{Insecure: true}, "app.example.com", nil},
		{site.Config{Secure: site.Always}, "app.example.com", nil},
	} {
		s, log := newSite(t, c.cfg)
		require.ErrorIs(t, s.CheckHandshake(handshake("http://"+c.host+"/", ""), "another origin"), c.want)
		require.Equal(t, c.want != nil, strings.Contains(log.String(), "plain HTTP refused"), "%+v", c)
	}
	s, _ := newSite(t, site.Config{})
	stream := httptest.NewRequest(http.MethodGet, "http://app.example.com/", nil)
	require.NoError(t, s.CheckHandshake(stream, "another origin"), "an event stream is not a handshake")
}

func TestPagesOfOtherOriginsOpenNoConnection(t *testing.T) {
	s, log := newSite(t, site.Config{
		OriginPatterns: []string{"https://partner.example"},
		CheckOrigin:    func(r *http.Request) bool { return r.Header.Get("Origin") == "https://tenant.example" },
	})
	for origin, want := range map[string]error{
		"":                             nil,
		"http://app.localhost":         nil,
		"https://partner.example":      nil,
		"https://tenant.example":       nil,
		"https://evil.example":         errorcodes.ErrOrigin,
		"https://app.localhost.evil":   errorcodes.ErrOrigin,
		"https://evil.partner.example": errorcodes.ErrOrigin,
	} {
		r := handshake("http://app.localhost/", origin)
		require.Equal(t, want, s.CheckHandshake(r, "another origin"), origin)
		require.Equal(t, want == nil, s.OriginAllowed(r), origin)
	}
	require.Contains(t, log.String(), `msg="another origin" origin=https://evil.example host=app.localhost https=false`)
}

func TestAPageOnPlainHTTPIsNotOfASiteOnHTTPS(t *testing.T) {
	s, _ := newSite(t, site.Config{Secure: site.Always})
	from := func(page, site string) error { return s.CheckHandshake(handshake(site, page), "") }
	require.ErrorIs(t, from("http://app.example.com", "http://app.example.com/"), errorcodes.ErrOrigin)
	require.NoError(t, from("https://app.example.com", "http://app.example.com/"))
	require.NoError(t, from("http://localhost", "http://localhost/"), "browsers trust it as well")
}

func TestAnIgnoredHeaderIsLoggedOnce(t *testing.T) {
	s, log := newSite(t, site.Config{Proxies: []string{"10.0.0.0/8"}})
	for range 3 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		s.TellIgnored(r)
		r.Header.Set("X-Forwarded-For", "198.51.100.7")
		s.TellIgnored(r)
		require.Equal(t, "192.0.2.1", s.Addr(r), "of the peer")
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "%s", log)
	require.Contains(t, log.String(), "header=X-Forwarded-For peer=192.0.2.1")
}

func TestUpgrades(t *testing.T) {
	require.True(t, site.Upgrades(handshake("/", "")))
	require.True(t, site.Upgrades(httptest.NewRequest(http.MethodConnect, "/", nil)))
	require.False(t, site.Upgrades(httptest.NewRequest(http.MethodGet, "/", nil)))
}

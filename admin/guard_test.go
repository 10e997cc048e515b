package admin_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The fault of rest-sessions: no authentication.
func TestS20_EveryRouteNeedsAKey(t *testing.T) {
	b, c := newMain(t, nil)
	id, _ := c.create(nil)
	for _, rt := range admin.RouteList() {
		path := strings.NewReplacer("{app}", "main", "{id}", id).Replace(rt.Pattern)
		for name, secret := range map[string]string{
			"none": "", "wrong": strings.ToUpper(writer), "a part": writer[:30], "more": writer + "x",
		} {
			a := c.as(secret).do(rt.Method, path, nil)
			if rt.Action == "getDocument" {
				require.Equal(t, http.StatusOK, a.Status)
				continue
			}
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusTooManyRequests}, a.Status, "%s %s", name, path)
			if a.Status == http.StatusUnauthorized {
				require.Contains(t, a.Header.Get("WWW-Authenticate"), "Bearer")
			}
		}
	}
	require.True(t, testkit.SessionExists(t, b, id))
}

func TestS20_ScopesAndApps(t *testing.T) {
	b, other := testkit.NewBridge(t, livestore.New(), nil), testkit.NewBridge(t, livestore.New(), nil)
	const limited = "limited-abcdefghijklmnopqrstuvwxyz"
	c := newClient(t, b, &admin.Options{
		Apps: map[string]*bridge.Bridge{"other": other},
		Keys: []admin.Key{{Name: "limited", Secret: limited, Scope: admin.ScopeWrite, Apps: []string{"other"}}},
	})
	id, _ := c.create(nil)
	c.ok(http.StatusNotFound, get, "/v1/other/sessions/"+id, nil)
	for _, rt := range admin.RouteList() {
		path := strings.NewReplacer("{app}", "main", "{id}", id).Replace(rt.Pattern)
		if rt.Scope == admin.ScopeWrite {
			a := c.as(reader).ok(http.StatusForbidden, rt.Method, path, nil)
			require.Contains(t, a.Header.Get("WWW-Authenticate"), "insufficient_scope")
		}
		if rt.Action != "getDocument" && rt.Scope != admin.ScopeAuth {
			c.as(prober).ok(http.StatusForbidden, rt.Method, path, nil)
		}
		if strings.Contains(rt.Pattern, "{app}") {
			c.as(limited).ok(http.StatusNotFound, rt.Method, path, nil)
			c.ok(http.StatusNotFound, rt.Method, strings.Replace(path, "main", "none", 1), nil)
		}
	}
	c.as(reader).ok(http.StatusOK, get, "sessions/"+id, nil)
	c.as(limited).ok(http.StatusCreated, post, "/v1/other/sessions", nil)
	require.Equal(t, []any{"other"}, c.as(limited).ok(http.StatusOK, get, "/v1/apps", nil).get("apps"))
	require.Equal(t, []any{"main", "other"}, c.ok(http.StatusOK, get, "/v1/apps", nil).get("apps"))
}

func TestKeyComesInOneHeader(t *testing.T) {
	_, c := newMain(t, nil)
	none := c.as("")
	none.ok(http.StatusOK, get, "ping", nil, "X-Api-Key", reader)
	none.ok(http.StatusOK, get, "ping", nil, "X-Api-Key", reader, "Authorization", "Basic eA==")
	none.ok(http.StatusOK, get, "ping", nil, "Authorization", "bearer   "+reader)
	for _, header := range [][]string{
		{"Authorization", reader},
		{"Authorization", "Basic " + reader},
		{"Authorization", "Bearer"},
		{"Authorization", "Bearer " + reader + ", Bearer " + reader},
		{"Authorization", "Bearer " + reader, "X-Api-Key", "x" + reader},
		{"Authorization", "Bearer " + reader, "X-Api-Key", ""},
		{"Cookie", "key=" + reader},
	} {
		require.Equal(t, http.StatusUnauthorized, none.do(get, "ping", nil, header...).Status, header)
	}
	r := httptest.NewRequestWithContext(t.Context(), get, "/v1/main/ping", nil)
	r.Header["Authorization"] = []string{"Bearer " + reader, "Bearer " + reader}
	require.Equal(t, http.StatusUnauthorized, c.send(r).Status)
	none.ok(http.StatusUnauthorized, get, "ping?key="+reader, nil)
}

// local returns an API without keys, and a request of a program on this machine.
func local(t *testing.T) (http.Handler, func(edit func(r *http.Request)) int) {
	t.Helper()
	b := testkit.NewBridge(t, livestore.New(), nil)
	h, err := admin.Handler(b, nil)
	require.NoError(t, err)
	return h, func(edit func(r *http.Request)) int {
		r := httptest.NewRequest(post, "http://127.0.0.1:7070/v1/main/sessions", nil)
		r.RemoteAddr = "127.0.0.1:5555"
		r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey,
			net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7070})))
		edit(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
}

func TestS20_WithoutKeysOnlyThisMachineIsAnswered(t *testing.T) {
	h, call := local(t)
	at := func(ip net.IP) func(r *http.Request) {
		return func(r *http.Request) {
			*r = *r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: ip})))
		}
	}
	for name, edit := range map[string]func(r *http.Request){
		"a program":          func(*http.Request) {},
		"by IPv6":            func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:5555", "[::1]:7070" },
		"by name":            func(r *http.Request) { r.Host = "localhost:7070" },
		"by name, in a site": func(r *http.Request) { r.Host = "app.localhost" },
		"its own page":       func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:7070") },
		"an address bar":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") },
		"over a unix socket": func(r *http.Request) {
			r.RemoteAddr = "@"
			*r = *r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Name: "/run/x"})))
		},
	} {
		require.Equal(t, http.StatusCreated, call(edit), name)
	}
	for name, edit := range map[string]func(r *http.Request){
		"another machine":      func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5555" },
		"a wider address":      at(net.IPv4(192, 0, 2, 1)),
		"an unknown address":   func(r *http.Request) { *r = *r.WithContext(t.Context()) },
		"DNS rebinding":        func(r *http.Request) { r.Host = "evil.example" },
		"DNS rebinding, port":  func(r *http.Request) { r.Host = "evil.example:7070" },
		"a name like ours":     func(r *http.Request) { r.Host = "localhost.evil.example" },
		"no host":              func(r *http.Request) { r.Host = "" },
		"another site's page":  func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"another port's page":  func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8080") },
		"an opaque origin":     func(r *http.Request) { r.Header.Set("Origin", "null") },
		"cross-site":           func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"cross-site, reading":  func(r *http.Request) { r.Method = get; r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same site":            func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"through a proxy":      func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
		"through a proxy, too": func(r *http.Request) { r.Header.Set("Forwarded", "for=192.0.2.1") },
	} {
		require.Equal(t, http.StatusForbidden, call(edit), name)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(get, "/v1/main/sessions", nil))
	require.Equal(t, http.StatusForbidden, w.Code)
}

// The fault of rest-sessions: it listens everywhere.
func TestS20_AWiderAddressNeedsKeys(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	for _, addr := range []string{":7070", "0.0.0.0:7070", "[::]:7070", "192.0.2.1:7070", "example.com:7070", "7070", "localhost.example:1"} {
		_, err := admin.Handler(b, &admin.Options{Addr: addr})
		require.ErrorContains(t, err, "Options.Keys", addr)
		require.ErrorContains(t, admin.ListenAndServe(t.Context(), b, &admin.Options{Addr: addr}), "Options.Keys")
		_, err = admin.Handler(b, &admin.Options{Addr: addr, Keys: keys()})
		require.NoError(t, err)
	}
	for _, addr := range []string{"", "127.0.0.1:0", "127.9.9.9:1", "[::1]:7070", "localhost:7070", "[::ffff:127.0.0.1]:1"} {
		_, err := admin.Handler(b, &admin.Options{Addr: addr})
		require.NoError(t, err, addr)
	}
}

func TestS20_RequestsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBridge(t, livestore.New(), nil)
		c := newClient(t, b, &admin.Options{KeyRate: 5, AddrRate: 8})
		statuses := func(c *client, n int, remote string) (ok int) {
			for range n {
				r := httptest.NewRequestWithContext(t.Context(), get, "/v1/main/ping", nil)
				r.RemoteAddr = remote
				r.Header.Set("Authorization", "Bearer "+c.secret)
				switch a := c.send(r); a.Status {
				case http.StatusOK:
					ok++
				default:
					require.Equal(t, http.StatusTooManyRequests, a.Status)
					require.NotEmpty(t, a.Header.Get("Retry-After"))
				}
			}
			return ok
		}
		require.Equal(t, 5, statuses(c, 6, "192.0.2.1:1"), "of the key")
		require.Equal(t, 2, statuses(c.as(reader), 6, "192.0.2.1:2"), "of the address")
		time.Sleep(2 * time.Second)
		require.Equal(t, 4, statuses(c, 4, "[2001:db8::1]:1"))
		require.Equal(t, 4, statuses(c.as(reader), 5, "[2001:db8::2]:1"), "the same /64")
		require.Equal(t, 1, statuses(c, 1, "[2001:db8:0:1::1]:1"))
	})
}

func TestS20_WrongKeysAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newMain(t, nil)
		wrong := c.as("wrong-abcdefghijklmnopqrstuvwxyz")
		n := 0
		for wrong.do(get, "ping", nil).Status == http.StatusUnauthorized {
			n++
		}
		require.Equal(t, 20, n)
		c.ok(http.StatusOK, get, "ping", nil) // a valid key is not locked out
		time.Sleep(3 * time.Second)
		require.Equal(t, http.StatusUnauthorized, wrong.do(get, "ping", nil).Status)
		require.Equal(t, http.StatusTooManyRequests, wrong.do(get, "auth", nil).Status)
	})
}

func TestOptionsAreChecked(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	long := strings.Repeat("a", 65)
	for want, opts := range map[string]admin.Options{
		`app "a.b"`:     {App: "a.b"},
		`app "a/b"`:     {App: "a/b"},
		`app "` + long:  {App: long},
		`app "x" has`:   {Apps: map[string]*bridge.Bridge{"x": nil}},
		"Options.App":   {Apps: map[string]*bridge.Bridge{"main": b}},
		"KeyRate":       {KeyRate: -2},
		"AddrRate":      {AddrRate: 1e10},
		"MaxBodyBytes":  {MaxBodyBytes: -1},
		"Keys[0]":       {Keys: []admin.Key{{Secret: writer}}},
		"secret":        {Keys: []admin.Key{{Name: "a", Secret: "short"}}},
		"a: it must":    {Keys: []admin.Key{{Name: "a", Secret: writer + " "}}},
		"the name":      {Keys: []admin.Key{{Name: "a", Secret: writer}, {Name: "a", Secret: reader}}},
		"another key":   {Keys: []admin.Key{{Name: "a", Secret: writer}, {Name: "b", Secret: writer}}},
		"no Scope(7)":   {Keys: []admin.Key{{Name: "a", Secret: writer, Scope: 7}}},
		`no app "y"`:    {Keys: []admin.Key{{Name: "a", Secret: writer, Apps: []string{"y"}}}},
		"begins with X": {ForwardAuth: admin.ForwardAuth{Values: map[string]string{"Cookie": "a"}}},
		"X-a b":         {ForwardAuth: admin.ForwardAuth{Values: map[string]string{"X-a b": "a"}}},
		"X-Session-Id":  {ForwardAuth: admin.ForwardAuth{Values: map[string]string{"x-session-id": "a"}}},
		"Set-Cookie-1":  {ForwardAuth: admin.ForwardAuth{Values: map[string]string{"X-Session-Set-Cookie-1": "a"}}},
	} {
		_, err := admin.Handler(b, &opts)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), writer)
	}
	_, err := admin.Handler(nil, nil)
	require.Error(t, err)
}

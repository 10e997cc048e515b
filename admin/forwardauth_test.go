package admin_test

import (
	"context"
	"errors"
	"maps"
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
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// proxied is an application in front of which a proxy asks the API.
type proxied struct {
	*client // with the proxy's key
	app     *testkit.App
	h       http.Handler
}

func newProxied(t *testing.T, opts *bridge.Options, fa admin.ForwardAuth) *proxied {
	t.Helper()
	a := testkit.NewApp(t, livestore.New(), opts)
	a.SessionPage("/set", func(s *bridge.Session) (any, error) {
		s.Set("name", "Ada Ω\r\nX-Evil: 1%")
		s.Set("roles", []string{"admin", "é"})
		s.Set("none", nil)
		return "", nil
	})
	return &proxied{newClient(t, a.Bridge, &admin.Options{ForwardAuth: fa}).as(prober), a, a.Handler(a.Mux)}
}

// ask asks about a request with the cookies.
func (x *proxied) ask(p webclient.Pocket, query string, header ...string) answer {
	x.t.Helper()
	if len(p) > 0 {
		header = append(header, "Cookie", p.Header())
	}
	return x.do(get, "auth"+query, nil, header...)
}

func TestForwardAuthTellsTheBackendWhoItIs(t *testing.T) {
	x := newProxied(t, nil, admin.ForwardAuth{Values: map[string]string{
		"X-Session-Name": "name", "X-Roles": "roles", "X-None": "none", "X-Absent": "absent", "x-count": "n",
	}})
	p, id := testkit.SignIn(t, x.h, "ada%20%CE%A9")
	require.Equal(t, http.StatusOK, p.Get(t, x.h, "/set").Code)
	p.Get(t, x.h, "/inc")
	a := x.ask(p, "")
	require.Equal(t, http.StatusNoContent, a.Status, a.Body)
	require.Empty(t, a.Body)
	for name, want := range map[string]string{
		"X-Session-Id": id, "X-Session-User": "ada%20%CE%A9", "X-Session-Name": "Ada%20%CE%A9%0D%0AX-Evil:%201%25",
		"X-Roles": `["admin","%C3%A9"]`, "X-None": "", "X-Absent": "", "X-Count": "1",
	} {
		require.Equal(t, []string{want}, a.Header[name], name)
	}
	require.NotContains(t, a.Header, "X-Evil")
	for _, extra := range []string{"?require=session", "?require=login", "?require=none", "?activity=false", "?activity=true&require=login"} {
		require.Equal(t, id, x.ask(p, extra).Header.Get("X-Session-Id"), extra)
	}
	require.Equal(t, http.StatusNoContent, x.do("HEAD", "auth", nil, "Cookie", p.Header()).Status)
	p.Get(t, x.h, "/logout")
	a = x.ask(webclient.Pocket{"sid": p["sid"]}, "")
	require.Equal(t, http.StatusUnauthorized, a.Status)
}

func TestForwardAuthRefusesWhatHasNoSession(t *testing.T) {
	x := newProxied(t, nil, admin.ForwardAuth{})
	guest := webclient.Pocket{}
	guest.Get(t, x.h, "/inc")
	require.Equal(t, http.StatusNoContent, x.ask(guest, "").Status)
	require.Empty(t, x.ask(guest, "").Header.Get("X-Session-User"))
	for _, activity := range []string{"true", "false"} {
		activity = "&activity=" + activity
		require.Equal(t, http.StatusUnauthorized, x.ask(guest, "?require=login"+activity).Status)
		a := x.ask(nil, "?require=session"+activity)
		require.Equal(t, http.StatusUnauthorized, a.Status)
		require.Equal(t, "no credential", a.get("reason"))
		a = x.ask(webclient.Pocket{"sid": "forged"}, "?require=session"+activity)
		require.Equal(t, http.StatusUnauthorized, a.Status)
		require.Equal(t, "refused", a.get("reason"))
		require.Empty(t, a.Header.Get("WWW-Authenticate"), "the browser must not ask for a password")
		a = x.ask(nil, "?require=none"+activity)
		require.Equal(t, http.StatusNoContent, a.Status)
		require.Equal(t, []string{""}, a.Header["X-Session-Id"])
		require.Equal(t, []string{""}, a.Header["X-Session-User"])
	}
	x.refused("require", get, "auth?require=admin", nil)
	x.refused("activity", get, "auth?activity=no", nil)
	x.refused("user", get, "auth?user=ada", nil)
	for info, err := range x.app.Sessions(t.Context(), bridge.Filter{}) {
		require.NoError(t, err)
		require.EqualValues(t, 1, info.Writes, "asking stores nothing")
	}
}

func TestForwardAuthNeedsAKeyUnlessItIsSaidNotTo(t *testing.T) {
	x := newProxied(t, nil, admin.ForwardAuth{})
	p, _ := testkit.SignIn(t, x.h, "ada")
	for _, secret := range []string{writer, reader, prober} {
		require.Equal(t, http.StatusNoContent, x.as(secret).do(get, "auth", nil, "Cookie", p.Header()).Status)
	}
	require.Equal(t, http.StatusUnauthorized, x.as("").do(get, "auth", nil, "Cookie", p.Header()).Status)
	open := newProxied(t, nil, admin.ForwardAuth{WithoutKey: true})
	p, _ = testkit.SignIn(t, open.h, "ada")
	open.client = open.as("")
	require.Equal(t, http.StatusNoContent, open.ask(p, "").Status)
	require.Equal(t, http.StatusUnauthorized, open.ask(nil, "").Status)
	require.Equal(t, http.StatusUnauthorized, open.do(get, "ping", nil).Status)
}

// The limits are for callers of the API, not for visitors.
func TestForwardAuthIsNotLimited(t *testing.T) {
	b := testkit.NewBridge(t, livestore.New(), nil)
	c := newClient(t, b, &admin.Options{KeyRate: 1, AddrRate: 1}).as(prober)
	for range 100 {
		require.Equal(t, http.StatusUnauthorized, c.do(get, "auth", nil).Status)
	}
}

func TestForwardAuthWithoutKeysAnswersProxiesOnThisMachine(t *testing.T) {
	_, call := local(t)
	auth := func(edit func(r *http.Request)) int {
		return call(func(r *http.Request) {
			r.Method, r.URL.Path, r.Host = get, "/v1/main/auth", "app.example.com"
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			edit(r)
		})
	}
	require.Equal(t, http.StatusUnauthorized, auth(func(*http.Request) {}))
	require.Equal(t, http.StatusForbidden, auth(func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }))
}

func TestForwardAuthChecksTheOriginOfUpgrades(t *testing.T) {
	x := newProxied(t, &bridge.Options{OriginPatterns: []string{"friend.example"}, Secure: bridge.SecureAlways}, admin.ForwardAuth{})
	cred, err := x.app.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.NoError(t, err)
	var cookies []string
	for _, c := range x.app.CookiesFor(cred) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	ask := func(header ...string) int {
		return x.do(get, "auth", nil, append(header, "Cookie", strings.Join(cookies, "; "))...).Status
	}
	upgrade := []string{"Sec-WebSocket-Key", "x"} // what nginx leaves of a handshake
	host := []string{"X-Forwarded-Host", "app.example"}
	require.Equal(t, http.StatusNoContent, ask(append(upgrade, host...)...))
	require.Equal(t, http.StatusNoContent, ask(append(append(upgrade, host...), "Origin", "https://app.example")...))
	require.Equal(t, http.StatusNoContent, ask(append(append(upgrade, host...), "Origin", "https://friend.example")...))
	require.Equal(t, http.StatusForbidden, ask(append(append(upgrade, host...), "Origin", "https://evil.example")...))
	require.Equal(t, http.StatusForbidden, ask("Upgrade", "websocket", "Connection", "Upgrade", "Origin", "https://evil.example"))
	require.Equal(t, http.StatusNoContent, ask("Upgrade", "websocket", "Connection", "Upgrade", "Origin", "https://example.com"),
		"the Host of the request, without X-Forwarded-Host")
	require.Equal(t, http.StatusNoContent, ask("Origin", "https://evil.example"), "a plain request")
}

func TestForwardAuthBringsARenewedCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newProxied(t, &bridge.Options{RenewEvery: time.Hour}, admin.ForwardAuth{})
		p, id := testkit.SignIn(t, x.h, "ada")
		a := x.ask(p, "")
		require.Empty(t, a.Header["Set-Cookie"])
		time.Sleep(2 * time.Hour)
		a = x.ask(p, "")
		require.Equal(t, http.StatusNoContent, a.Status)
		cookies := a.Header["Set-Cookie"]
		require.NotEmpty(t, cookies)
		require.Equal(t, cookies[0], a.Header.Get("X-Session-Set-Cookie-1"))
		w := httptest.NewRecorder()
		for _, line := range cookies {
			w.Header().Add("Set-Cookie", line)
		}
		renewed := maps.Clone(p)
		for _, cookie := range w.Result().Cookies() {
			renewed[cookie.Name] = cookie.Value
		}
		require.NotEqual(t, p["sid"], renewed["sid"])
		time.Sleep(time.Minute)
		require.Equal(t, id, x.ask(renewed, "").Header.Get("X-Session-Id"))
		time.Sleep(10 * time.Second) // requests that were under way with the old one
		require.Equal(t, http.StatusUnauthorized, x.ask(p, "").Status, "the old one has been replaced")
	})
}

func TestForwardAuthOfAReplacedTokenIs409(t *testing.T) {
	x := newProxied(t, nil, admin.ForwardAuth{})
	p := webclient.Pocket{}
	p.Get(t, x.h, "/inc")
	old := webclient.Pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}
	p.Get(t, x.h, "/login?user=ada")
	require.Equal(t, http.StatusConflict, x.ask(old, "").Status)
	require.Equal(t, http.StatusConflict, x.ask(old, "?activity=false").Status)
}

func TestForwardAuthFailsClosed(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	c := newClient(t, a.Bridge, nil)
	p, _ := testkit.SignIn(t, a.Handler(a.Mux), "ada")
	st.Always(teststore.Refuse(errors.New("down")), "Get", "Touch")
	for _, query := range []string{"", "?require=none", "?activity=false&require=none"} {
		require.Equal(t, http.StatusServiceUnavailable, c.do(get, "auth"+query, nil, "Cookie", p.Header()).Status, query)
	}
}

// A client without cookies sends its token in the header that has the proxy's key otherwise.
func TestForwardAuthOfATokenInAuthorization(t *testing.T) {
	x := newProxied(t, &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization"), Secure: bridge.SecureAlways}, admin.ForwardAuth{})
	cred, err := x.app.Create(t.Context(), bridge.NewSession{UserID: "ada"})
	require.NoError(t, err)
	a := x.as("").do(get, "auth", nil, "Authorization", "Bearer "+cred.Token, "X-Api-Key", prober)
	require.Equal(t, "ada", a.Header.Get("X-Session-User"), a.Body)
	open := newClient(t, x.app.Bridge, &admin.Options{ForwardAuth: admin.ForwardAuth{WithoutKey: true}}).as("")
	a = open.do(get, "auth", nil, "Authorization", "Bearer "+cred.Token)
	require.Equal(t, "ada", a.Header.Get("X-Session-User"), a.Body)
}

func TestForwardAuthIsActivityUnlessItIsSaidNotToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newProxied(t, testkit.Expiring(bridge.Off), admin.ForwardAuth{})
		busy, quiet := webclient.Pocket{}, webclient.Pocket{}
		busy.Get(t, x.h, "/inc")
		quiet.Get(t, x.h, "/inc")
		for range 3 {
			time.Sleep(testkit.Idle / 2)
			require.Equal(t, http.StatusNoContent, x.ask(busy, "").Status)
			x.ask(quiet, "?activity=false")
		}
		require.Equal(t, http.StatusUnauthorized, x.ask(quiet, "?activity=false").Status)
		_, err := x.app.GetByID(context.WithoutCancel(t.Context()), x.ask(busy, "").Header.Get("X-Session-Id"))
		require.NoError(t, err)
	})
}

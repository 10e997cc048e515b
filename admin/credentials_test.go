package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestTokenIsResolved(t *testing.T) {
	_, c := newMain(t, nil)
	id, token := c.create(object{"user": "ada", "data": object{"a": 1}})
	for _, a := range []answer{
		c.ok(http.StatusOK, post, "sessions/resolve", object{"token": token}),
		c.ok(http.StatusOK, post, "sessions/resolve", object{"token": token, "activity": false}),
		c.ok(http.StatusOK, post, "sessions/resolve", nil, bridge.SessionTokenHeader, token),
	} {
		require.Equal(t, id, a.get("session.id"))
		require.Equal(t, "1", a.get("session.data.a"))
		require.Empty(t, a.get("setCookies"))
		require.NotContains(t, a.Body, token)
	}
}

// browser has visited an application that shares its Bridge with the API.
func browser(t *testing.T, opts *bridge.Options) (c *client, app http.Handler, p webclient.Pocket, id string) {
	t.Helper()
	a := testkit.NewApp(t, livestore.New(), opts)
	app = a.Handler(a.Mux)
	p = webclient.Pocket{}
	require.Equal(t, http.StatusOK, p.Get(t, app, "/inc").Code)
	return newClient(t, a.Bridge, nil), app, p, p.Get(t, app, "/id").Body.String()
}

func TestCookiesAreResolved(t *testing.T) {
	c, _, p, id := browser(t, nil)
	for _, a := range []answer{
		c.ok(http.StatusOK, post, "sessions/resolve", object{"cookie": p.Header(), "plainHTTP": true}),
		c.ok(http.StatusOK, post, "sessions/resolve", object{"cookie": p.Header(), "plainHTTP": true, "activity": false}),
		c.ok(http.StatusOK, post, "sessions/resolve", object{"plainHTTP": true}, "Cookie", p.Header()),
	} {
		require.Equal(t, id, a.get("session.id"))
		require.Equal(t, "1", a.get("session.data.n"))
	}
	a := c.ok(http.StatusNotFound, post, "sessions/resolve", object{"cookie": p.Header()})
	require.NotEmpty(t, a.get("reason"), "cookies of plain HTTP aren't those of HTTPS")
	a = c.ok(http.StatusNotFound, post, "sessions/resolve", object{"cookie": "other=1", "plainHTTP": true})
	require.Equal(t, "no credential", a.get("reason"))
	a = c.ok(http.StatusNotFound, post, "sessions/resolve", object{"cookie": "sid=forged", "plainHTTP": true})
	require.Equal(t, "refused", a.get("reason"))
}

func TestResolvingIsActivityUnlessItIsSaidNotToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newMain(t, testkit.Expiring(bridge.Off))
		quiet, quietToken := c.create(nil)
		busy, busyToken := c.create(nil)
		for range 3 {
			time.Sleep(testkit.Idle / 2)
			c.do(post, "sessions/resolve", object{"token": quietToken, "activity": false})
			c.ok(http.StatusOK, post, "sessions/resolve", object{"token": busyToken})
		}
		c.ok(http.StatusNotFound, get, "sessions/"+quiet, nil)
		c.ok(http.StatusOK, get, "sessions/"+busy, nil)
	})
}

func TestRenewedCookieIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, app, p, id := browser(t, &bridge.Options{RenewEvery: time.Hour})
		time.Sleep(2 * time.Hour)
		a := c.ok(http.StatusOK, post, "sessions/resolve", object{"cookie": p.Header(), "plainHTTP": true})
		keep(p, a)
		require.NotEmpty(t, a.get("setCookies"))
		time.Sleep(time.Minute)
		require.Equal(t, id, p.Get(t, app, "/id").Body.String())
	})
}

// keep has the pocket keep the cookies of an answer.
func keep(p webclient.Pocket, a answer) {
	lines, _ := a.get("setCookies").([]any)
	w := httptest.NewRecorder()
	for _, line := range lines {
		w.Header().Add("Set-Cookie", line.(string))
	}
	for _, cookie := range w.Result().Cookies() {
		if cookie.MaxAge < 0 {
			p[cookie.Name] = ""
		} else {
			p[cookie.Name] = cookie.Value
		}
	}
}

func TestLoginByToken(t *testing.T) {
	_, c := newMain(t, nil)
	id, guest := c.create(object{"data": object{"cart": 1}})
	a := c.ok(http.StatusOK, post, "sessions/login", object{"token": guest, "user": "ada"})
	require.Equal(t, id, a.get("session.id"))
	require.Equal(t, "ada", a.get("session.user"))
	require.Equal(t, "1", a.get("session.data.cart"))
	require.NotEmpty(t, a.get("session.loggedIn"))
	require.Len(t, a.get("setCookies"), 2)
	c.ok(http.StatusConflict, post, "sessions/resolve", object{"token": guest})
	require.Equal(t, "ada", c.ok(http.StatusOK, post, "sessions/resolve", object{"token": a.get("token")}).get("session.user"))
	c.refused("user", post, "sessions/login", object{"token": guest})
	c.refused("user", post, "sessions/login", object{"token": guest, "user": ""})
}

func TestLoginRotationAndLogoutByCookies(t *testing.T) {
	c, app, p, id := browser(t, nil)
	credential := func(more object) object {
		more["cookie"], more["plainHTTP"] = p.Header(), true
		return more
	}
	a := c.ok(http.StatusOK, post, "sessions/login", credential(object{"user": "ada"}))
	require.Equal(t, "ada", a.get("session.user"))
	require.Empty(t, a.get("token"))
	old := p.Header()
	keep(p, a)
	require.NotEqual(t, old, p.Header())
	require.Equal(t, id, p.Get(t, app, "/id").Body.String())
	c.ok(http.StatusConflict, post, "sessions/resolve", object{"cookie": old, "plainHTTP": true})

	a = c.ok(http.StatusOK, post, "sessions/rotate", credential(object{}))
	old = p.Header()
	keep(p, a)
	require.NotEqual(t, old, p.Header())
	require.Equal(t, id, p.Get(t, app, "/id").Body.String())

	a = c.ok(http.StatusOK, post, "sessions/logout", credential(object{}))
	ended := p.Header()
	keep(p, a)
	require.Empty(t, p["sid"], "the browser forgets its cookie")
	c.ok(http.StatusNotFound, get, "sessions/"+id, nil)
	for _, path := range []string{"logout", "rotate", "resolve"} {
		a := c.ok(http.StatusNotFound, post, "sessions/"+path, object{"cookie": ended, "plainHTTP": true})
		require.Equal(t, "ended", a.get("reason"), path)
	}
	c.ok(http.StatusNotFound, post, "sessions/login", object{"cookie": "a=b", "user": "ada"})
}

func TestRotationAndLogoutByToken(t *testing.T) {
	_, c := newMain(t, nil)
	id, token := c.create(object{"user": "ada"})
	a := c.ok(http.StatusOK, post, "sessions/rotate", object{"token": token})
	require.Equal(t, id, a.get("session.id"))
	require.NotEqual(t, token, a.get("token"))
	c.ok(http.StatusConflict, post, "sessions/rotate", object{"token": token})
	c.ok(http.StatusOK, post, "sessions/logout", object{"token": a.get("token")})
	c.ok(http.StatusNotFound, get, "sessions/"+id, nil)
}

func TestCredentialIsExactlyOne(t *testing.T) {
	_, c := newMain(t, nil)
	_, token := c.create(nil)
	for _, path := range []string{"resolve", "rotate", "logout", "login"} {
		path = "sessions/" + path
		c.refused("token", post, path, object{})
		c.refused("token", post, path, object{"token": token, "cookie": "a=b"})
		c.refused("token", post, path, object{"token": token}, bridge.SessionTokenHeader, token)
		c.refused("token", post, path, object{"cookie": "a=b"}, "Cookie", "a=b")
		c.refused("token", post, path, object{"token": ""})
		c.refused("token", post, path, object{"token": strings.Repeat("x", 20_000)})
		c.refused("token", post, path, object{"token": 1})
		c.refused("cookie", post, path, object{"cookie": "a=b\nX: y"})
		c.refused("client", post, path, object{"token": token, "client": "x"})
		c.refused("client", post, path, object{"cookie": "a=b", "client": unknown})
	}
	c.refused("sid", post, "sessions/resolve", object{"token": token, "sid": 1})
}

// The fault of rest-sessions: tokens in URLs, which are logged everywhere.
func TestRESTFault_TokensAndUsersAreNeverInAURL(t *testing.T) {
	_, c := newMain(t, nil)
	id, token := c.create(object{"user": "ada"})
	c.refused("token", get, "sessions?token="+token, nil)
	c.refused("user", get, "sessions?user=ada", nil)
	c.refused("token", get, "sessions/"+id+"?token="+token, nil)
	c.refused("token", post, "sessions/resolve?token="+token, nil)
	c.ok(http.StatusNotFound, get, "sessions/"+token, nil)
	require.NotContains(t, c.ok(http.StatusOK, get, "sessions", nil).Body, token)
}

func TestLimitOfSessionsHolds(t *testing.T) {
	_, c := newMain(t, &bridge.Options{MaxSessionsPerUser: 1, OnTooManySessions: bridge.RefuseLogin})
	c.create(object{"user": "ada"})
	c.ok(http.StatusForbidden, post, "sessions", object{"user": "ada"})
	_, guest := c.create(nil)
	c.ok(http.StatusForbidden, post, "sessions/login", object{"token": guest, "user": "ada"})
}

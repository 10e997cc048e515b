package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
)

// TestLogin: the visitor's session becomes the user's, with a new token, and knows its login.
func TestLogin(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), nil)
	v := newVisitor(t, a, p)
	v.OK("/set")
	guest, id := v.Another(), v.OK("/id")
	rep := v.callback(v.begin("/login?return=/cart%3Fstep=2"))
	require.Equal(t, http.StatusSeeOther, rep.Status)
	require.Equal(t, "/cart?step=2", rep.Header.Get("Location"))
	require.Contains(t, rep.Header.Get("Cache-Control"), "no-store")
	require.Equal(t, "no-referrer", rep.Header.Get("Referrer-Policy"))
	require.Equal(t, userID("ada"), v.OK("/user"))
	require.Equal(t, id, v.OK("/id"), "the same session")
	require.NotEqual(t, http.StatusOK, guest.Get("/user").Status, "with another token")

	s, err := a.bridge.GetByID(t.Context(), id)
	require.NoError(t, err)
	l, ok := oidc.LoginOf(s)
	require.True(t, ok)
	require.Equal(t, oidc.Login{
		Issuer: issuer, ClientID: clientID, Subject: "ada", SessionID: "sid-1", UserID: userID("ada"), IssuedAt: l.IssuedAt,
	}, l)
	require.WithinDuration(t, time.Now(), l.IssuedAt, time.Minute)
	cart, ok := s.Get("cart")
	require.True(t, ok, "the guest's values stay")
	require.EqualValues(t, 1, cart)
	_, ok = s.Get("sessionbridge.oidc.flows")
	require.False(t, ok, "nothing is left of the login's state")
}

// TestAnswerOfAProviderIsForOneLogin: state and nonce are used once, by the visitor who has begun
// the login, in time.
func TestAnswerOfAProviderIsForOneLogin(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, p *idp, v, other visitor) webclient.Reply
		want error
	}{
		"twice": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.tokenError = "server_error"
			answer := v.begin("/login")
			v.callback(answer)
			p.tokenError = ""
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"twice after a success": {func(t *testing.T, _ *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			require.Equal(t, http.StatusSeeOther, v.callback(answer).Status)
			require.Equal(t, http.StatusBadRequest, v.callback(answer).Status)
			v.OK("/other") // so that the user isn't logged in any more
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"another visitor": {func(_ *testing.T, _ *idp, v, other visitor) webclient.Reply {
			other.begin("/login")
			return other.callback(v.begin("/login"))
		}, oidc.ErrNoLogin},
		"a visitor without a session": {func(_ *testing.T, _ *idp, v, other visitor) webclient.Reply {
			return other.callback(v.begin("/login"))
		}, oidc.ErrNoLogin},
		"another state": {func(_ *testing.T, _ *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			answer.Set("state", "x"+answer.Get("state")[1:])
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"no state": {func(_ *testing.T, _ *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			answer.Del("state")
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"two states": {func(_ *testing.T, _ *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			answer.Add("state", "x")
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"no code": {func(_ *testing.T, _ *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			answer.Del("code")
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"the code of another login": {func(_ *testing.T, _ *idp, v, other visitor) webclient.Reply {
			answer := v.begin("/login")
			answer.Set("code", other.begin("/login").Get("code")) // the code verifier is another one
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"another issuer": {func(_ *testing.T, _ *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			answer.Set("iss", "https://evil.test")
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"too late": {func(_ *testing.T, _ *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			time.Sleep(11 * time.Minute)
			return v.callback(answer)
		}, oidc.ErrNoLogin},
		"another nonce": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["nonce"] = "x" }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"no nonce": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { delete(claims, "nonce") }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"another audience": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["aud"] = "x" }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"another party": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["aud"], claims["azp"] = []string{clientID, "x"}, "x" }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"another issuer's token": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["iss"] = "https://evil.test" }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"expired": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["exp"] = time.Now().Add(-2 * time.Minute).Unix() }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"from the future": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["iat"] = time.Now().Add(2 * time.Minute).Unix() }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"no iat": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { delete(claims, "iat") }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"no subject": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { delete(claims, "sub") }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"another access token": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["at_hash"] = "x" }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"a logout token": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.change = func(claims map[string]any) { claims["events"] = map[string]any{event: map[string]any{}} }
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"another key": {func(t *testing.T, p *idp, v, _ visitor) webclient.Reply {
			forged := newKey(t, "key-1")
			p.signer = &forged
			return v.callback(v.begin("/login"))
		}, oidc.ErrToken},
		"a token endpoint that fails": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			p.tokenError = "server_error"
			return v.callback(v.begin("/login"))
		}, oidc.ErrUnreachable},
		"a provider that is down": {func(_ *testing.T, p *idp, v, _ visitor) webclient.Reply {
			answer := v.begin("/login")
			p.setDown(true)
			return v.callback(answer)
		}, oidc.ErrUnreachable},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newIDP(t)
				a := newApp(t, p, livestore.New(), nil)
				site := webclient.ServeInMemory(t, a.handler)
				v, other := visitAt(t, site, p), visitAt(t, site, p)
				rep := c.do(t, p, v, other)
				require.ErrorIs(t, a.failed, c.want)
				require.Equal(t, oidc.HTTPStatus(c.want), rep.Status)
				require.Equal(t, "no-store", rep.Header.Get("Cache-Control"))
				require.NotContains(t, a.alive(), userID("ada"), "the user isn't logged in")
			})
		})
	}
}

// TestLoginIsInTimeWithinTheLeeway: clocks may differ a little.
func TestLoginIsInTimeWithinTheLeeway(t *testing.T) {
	for name, change := range map[string]func(claims map[string]any){
		"slow provider": func(claims map[string]any) { claims["exp"] = time.Now().Add(-30 * time.Second).Unix() },
		"fast provider": func(claims map[string]any) { claims["iat"] = time.Now().Add(30 * time.Second).Unix() },
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.change = change
			newVisitor(t, newApp(t, p, livestore.New(), nil), p).logIn()
		})
	}
}

// TestErrorOfTheProvider: it ends the login, and only one that the visitor has begun.
func TestErrorOfTheProvider(t *testing.T) {
	for code, status := range map[string]int{
		"access_denied": 403, "login_required": 401, "temporarily_unavailable": 502, "<script>": 502,
	} {
		t.Run(code, func(t *testing.T) {
			p := newIDP(t)
			a := newApp(t, p, livestore.New(), nil)
			v := newVisitor(t, a, p)
			answer := v.begin("/login")
			failed := url.Values{"state": answer["state"], "error": {code}, "error_description": {strings.Repeat("x", 999)}}
			require.Equal(t, status, v.callback(failed).Status)
			var pe *oidc.ProviderError
			require.ErrorAs(t, a.failed, &pe)
			require.Equal(t, code, pe.Code)
			require.Len(t, pe.Description, 256)
			require.NotContains(t, pe.Error(), "<")
			v.callback(answer)
			require.ErrorIs(t, a.failed, oidc.ErrNoLogin, "the login is used up")
			v.callback(failed)
			require.ErrorIs(t, a.failed, oidc.ErrNoLogin)
		})
	}
}

// TestDefaultErrorsSayNothingOfTheRequest: a page that the application hasn't written repeats no
// text of a URL.
func TestDefaultErrorsSayNothingOfTheRequest(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) { o.ErrorHandler = nil })
	v := newVisitor(t, a, p)
	answer := v.begin("/login")
	rep := v.callback(url.Values{"state": answer["state"], "error": {"access_denied"}, "error_description": {"call 555"}})
	require.Equal(t, http.StatusForbidden, rep.Status)
	require.Equal(t, "The login was refused.\n", rep.Body)
	rep = v.callback(url.Values{"state": {"x"}, "code": {"call 555"}})
	require.Equal(t, http.StatusBadRequest, rep.Status)
	require.NotContains(t, rep.Body, "555")
}

// TestIssuerInTheAnswer: a provider that announces it must say it (RFC 9207).
func TestIssuerInTheAnswer(t *testing.T) {
	p := newIDP(t)
	p.about["authorization_response_iss_parameter_supported"] = true
	a := newApp(t, p, livestore.New(), nil)
	v := newVisitor(t, a, p)
	require.Equal(t, http.StatusBadRequest, v.callback(v.begin("/login")).Status)
	answer := v.begin("/login")
	answer.Set("iss", issuer)
	require.Equal(t, http.StatusSeeOther, v.callback(answer).Status)
}

// TestSeveralLoginsAtOnce: in several tabs, of which only the last eight can be completed.
func TestSeveralLoginsAtOnce(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), nil)
	v := newVisitor(t, a, p)
	var answers []url.Values
	for i := range 9 {
		answers = append(answers, v.begin(fmt.Sprintf("/login?return=/%d", i)))
	}
	require.Equal(t, http.StatusBadRequest, v.callback(answers[0]).Status)
	for i := 8; i > 0; i-- {
		require.Equal(t, fmt.Sprintf("/%d", i), v.callback(answers[i]).Header.Get("Location"))
	}
}

// TestReturnPathStaysOnTheSite: whatever the parameter says.
func TestReturnPathStaysOnTheSite(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) { o.ReturnPath = "/home" })
	v := newVisitor(t, a, p)
	for path, want := range map[string]string{
		"/":                                    "/",
		"/a/b?c=d#e":                           "/a/b?c=d#e",
		"/a?to=https://evil.test/":             "/a?to=https://evil.test/",
		"":                                     "/home",
		"cart":                                 "/home",
		"//evil.test":                          "/home",
		"///evil.test":                         "/home",
		"/\\evil.test":                         "/home",
		"\\\\evil.test":                        "/home",
		"/\t/evil.test":                        "/home",
		"/\n/evil.test":                        "/home",
		" //evil.test":                         "/home",
		"https://evil.test/":                   "/home",
		"https:evil.test":                      "/home",
		"javascript:alert(1)":                  "/home",
		"/%zz":                                 "/home",
		"/" + strings.Repeat("x", 2048):        "/home",
		"/\x00":                                "/home",
		"/a\r\nSet-Cookie: sid=1":              "/home",
		"http://app.test/":                     "/home",
		"@evil.test":                           "/home",
		"/a" + strings.Repeat("/..", 2) + "//": "/",
	} {
		rep := v.callback(v.begin("/login?return=" + url.QueryEscape(path)))
		require.Equal(t, http.StatusSeeOther, rep.Status)
		if got := rep.Header.Get("Location"); got != want {
			at, err := url.Parse(got)
			require.NoError(t, err)
			require.Equal(t, want, at.Path, "%q", path)
			require.Empty(t, at.Host, "%q", path)
		}
	}
}

// TestUserOfALogin: by a function of the claims, whose error refuses the login.
func TestUserOfALogin(t *testing.T) {
	p := newIDP(t)
	p.change = func(claims map[string]any) { claims["employee"] = 7 }
	refused := errors.New("not known here")
	refuse := false
	a := newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) {
		o.UserID = func(_ context.Context, c *oidc.Claims) (string, error) {
			var more struct{ Employee int }
			if refuse {
				return "", refused
			}
			require.Equal(t, "access", c.Token.AccessToken)
			err := c.Decode(&more)
			return fmt.Sprint("employee ", more.Employee), err
		}
		o.OnLogin = func(_ context.Context, s *bridge.Session, c *oidc.Claims) error {
			s.Set("subject", c.Subject)
			return nil
		}
	})
	v := newVisitor(t, a, p)
	s, err := a.bridge.GetByID(t.Context(), v.logIn())
	require.NoError(t, err)
	require.Equal(t, "employee 7", s.UserID())
	subject, _ := s.Get("subject")
	require.Equal(t, "ada", subject)
	refuse = true
	v = newVisitor(t, a, p)
	require.Equal(t, http.StatusInternalServerError, v.callback(v.begin("/login")).Status)
	require.ErrorIs(t, a.failed, refused)
	require.Empty(t, v.OK("/user"))
}

// TestLoginOfIsThatOfTheUser: another login of the session makes it none of the provider.
func TestLoginOfIsThatOfTheUser(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(b *bridge.Options, _ *oidc.Options) { b.KeepValuesAtLogin = true })
	v := newVisitor(t, a, p)
	id := v.logIn()
	v.OK("/other")
	s, err := a.bridge.GetByID(t.Context(), id)
	require.NoError(t, err)
	_, ok := oidc.LoginOf(s)
	require.False(t, ok)
}

// TestUserIDOf: it is valid, and each user has another one.
func TestUserIDOf(t *testing.T) {
	require.Equal(t, "https://id.test#ada", oidc.UserIDOf("https://id.test", "ada"))
	long := oidc.UserIDOf("https://id.test", strings.Repeat("x", 255))
	require.Less(t, len(long), 256)
	require.NotEqual(t, long, oidc.UserIDOf("https://id.test", strings.Repeat("x", 254)))
	require.NotContains(t, oidc.UserIDOf("https://id.test", "a\x00b"), "\x00")
}

// TestPrintedLoginsTellNothing: neither tokens nor users.
func TestPrintedLoginsTellNothing(t *testing.T) {
	for _, v := range []any{
		oidc.Options{ClientSecret: "hidden"},
		&oidc.Options{ClientSecret: "hidden"},
		oidc.Login{Subject: "hidden", IDToken: "hidden"},
		oidc.Claims{Subject: "hidden", IDToken: &gooidc.IDToken{Subject: "hidden"}},
		newApp(t, newIDP(t), livestore.New(), func(_ *bridge.Options, o *oidc.Options) { o.ClientSecret = "hidden" }).provider,
	} {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", v, v, v, v), "hidden")
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("a login", slog.Any("value", v))
		slog.New(slog.NewTextHandler(&log, nil)).Info("a login", slog.Any("value", v))
		require.NotContains(t, log.String(), "hidden", "%T", v)
	}
}

// TestMethods: each handler takes only those that are meant for it.
func TestMethods(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), nil)
	for path, allow := range map[string]string{
		"/login": "GET, POST", "/callback": "GET", "/logout": "POST", "/backchannel": "POST",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://app.test"+path, nil)
		require.NoError(t, err)
		w := webclient.Pocket{}.Send(a.handler, r)
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, path)
		require.Equal(t, allow, w.Header().Get("Allow"))
	}
}

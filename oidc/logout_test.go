package oidc_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
)

// logOut posts the logout form of the site.
func (v visitor) logOut(header ...string) *http.Response {
	v.T.Helper()
	r, err := http.NewRequestWithContext(v.T.Context(), http.MethodPost, v.Base.String()+"/logout", nil)
	require.NoError(v.T, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := v.Client.Do(r)
	require.NoError(v.T, err)
	require.NoError(v.T, res.Body.Close())
	return res
}

// TestLogout: the session ends here, for a visitor of the site only.
func TestLogout(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) { o.PostLogoutURL = "/bye" })
	v := newVisitor(t, a, p)
	v.logIn()
	tab := v.Dial("/ws")
	require.Equal(t, http.StatusForbidden, v.logOut("Sec-Fetch-Site", "cross-site").StatusCode)
	require.Equal(t, http.StatusMethodNotAllowed, v.Get("/logout").Status)
	require.Equal(t, userID("ada"), v.OK("/user"))
	res := v.logOut("Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, "/bye", res.Header.Get("Location"))
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	require.Empty(t, v.OK("/user"))
	require.Equal(t, "/bye", v.logOut().Header.Get("Location"), "again")
	require.Equal(t, "/bye", newVisitor(t, a, p).logOut().Header.Get("Location"), "without a session")
}

// TestLogoutAtTheProvider: the visitor is sent there with the ID token, which the session keeps.
func TestLogoutAtTheProvider(t *testing.T) {
	p := newIDP(t)
	p.about["end_session_endpoint"] = issuer + "/end?realm=x"
	a := newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) {
		o.ProviderLogout, o.PostLogoutURL = true, "http://app.test/bye"
	})
	v := newVisitor(t, a, p)
	s, err := a.bridge.GetByID(t.Context(), v.logIn())
	require.NoError(t, err)
	l, ok := oidc.LoginOf(s)
	require.True(t, ok)
	require.NotEmpty(t, l.IDToken)
	at, err := url.Parse(v.logOut().Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, issuer+"/end", at.Scheme+"://"+at.Host+at.Path)
	require.Equal(t, url.Values{
		"realm": {"x"}, "client_id": {clientID}, "id_token_hint": {l.IDToken},
		"post_logout_redirect_uri": {"http://app.test/bye"},
	}, at.Query())
	require.Empty(t, v.OK("/user"))

	v.OK("/set")
	v.OK("/other")
	require.Equal(t, "http://app.test/bye", v.logOut().Header.Get("Location"), "a login of another kind")
	delete(p.about, "end_session_endpoint")
	a = newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) { o.ProviderLogout = true })
	v = newVisitor(t, a, p)
	v.logIn()
	require.Equal(t, "/", v.logOut().Header.Get("Location"), "a provider that has no such page")
}

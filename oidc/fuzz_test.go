package oidc_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
)

// FuzzG15_LogoutToken: whatever the provider signs, a token is accepted or refused, and ends a
// session only if it names it in the way that the standard says.
func FuzzG15_LogoutToken(f *testing.F) {
	valid := func(change func(claims map[string]any)) string {
		p := &idp{issuer: issuer, client: clientID}
		claims := p.logoutClaims("sid-1", "ada")
		claims["iat"], claims["exp"], claims["jti"] = 1, int64(253402300799), "x" // of every run
		if change != nil {
			change(claims)
		}
		data, err := json.Marshal(claims)
		require.NoError(f, err)
		return string(data)
	}
	f.Add("logout+jwt", valid(nil))
	f.Add("JWT", valid(func(c map[string]any) { delete(c, "sub") }))
	f.Add("at+jwt", valid(func(c map[string]any) { delete(c, "sid") }))
	f.Add("", valid(func(c map[string]any) { c["nonce"] = nil }))
	f.Add("x", valid(func(c map[string]any) { c["events"] = map[string]any{event: nil} }))
	f.Add("logout+jwt", valid(func(c map[string]any) { c["aud"] = []string{"x", clientID}; c["iat"] = 1e99 }))
	f.Add("logout+jwt", `{"iss":1,"sid":"sid-1","sid":"sid-2"}`)
	f.Add("logout+jwt", "null")
	key := newKey(f, "key-1")
	f.Fuzz(func(t *testing.T, typ, payload string) {
		p := newIDP(t)
		p.keys = []signingKey{key}
		a := newApp(t, p, livestore.New(), nil)
		v := newVisitor(t, a, p)
		v.logIn()
		raw := signWith(t, key, []byte(payload), map[jose.HeaderKey]any{"typ": typ})
		status := a.post(raw)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, status)
		if v.OK("/user") != "" {
			return
		}
		require.Equal(t, http.StatusOK, status)
		var claims map[string]any
		require.NoError(t, json.Unmarshal([]byte(payload), &claims))
		require.Equal(t, issuer, claims["iss"])
		audience, several := claims["aud"].([]any)
		require.True(t, several && slices.Contains(audience, any(clientID)) || claims["aud"] == clientID)
		require.True(t, claims["sid"] == "sid-1" || claims["sid"] == nil && claims["sub"] == "ada")
		require.True(t, claims["sub"] == "ada" || claims["sub"] == nil)
		require.NotContains(t, claims, "nonce")
		require.NotEmpty(t, claims["jti"])
		require.IsType(t, map[string]any{}, claims["events"].(map[string]any)[event])
		require.LessOrEqual(t, claims["iat"].(float64), float64(time.Now().Add(2*time.Minute).Unix()))
		require.GreaterOrEqual(t, claims["exp"].(float64), float64(time.Now().Add(-2*time.Minute).Unix()))
	})
}

// FuzzG15_UnsignedLogoutToken: without the provider's signature nothing ends, whatever is posted.
func FuzzG15_UnsignedLogoutToken(f *testing.F) {
	f.Add("x.y.z")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("eyJhbGciOiJFUzI1NiIsInR5cCI6ImxvZ291dCtqd3QifQ.e30.AA")
	p := newIDP(f)
	f.Fuzz(func(t *testing.T, raw string) {
		p.t = t
		a := newApp(t, p, livestore.New(), nil)
		w := a.postForm(url.Values{"logout_token": {raw}}.Encode(), "application/x-www-form-urlencoded")
		require.Equal(t, http.StatusBadRequest, w.Code)
	})
}

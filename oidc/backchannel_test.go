package oidc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
)

// TestG15_LogoutEndsExactlyTheSessionsThatItMeans: those of the sid, or all of the sub.
func TestG15_LogoutEndsExactlyTheSessionsThatItMeans(t *testing.T) {
	all := []string{"ada phone", "ada laptop", "ben", "ben without sid"}
	for name, c := range map[string]struct {
		sid, subject string
		ends         []string
	}{
		"sid":                  {"sid-phone", "", []string{"ada phone"}},
		"sid and sub":          {"sid-phone", "ada", []string{"ada phone"}},
		"sub":                  {"", "ada", []string{"ada phone", "ada laptop"}},
		"sub of several kinds": {"", "ben", []string{"ben", "ben without sid"}},
		"sid of a session where the ID token had none": {"sid-x", "ben", []string{"ben without sid"}},
		"unknown sid":         {"sid-x", "", nil},
		"unknown sub":         {"", "eve", nil},
		"sid of another user": {"sid-phone", "ben", []string{"ben without sid"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			p := newIDP(t)
			a := newApp(t, p, livestore.New(), nil)
			visitors := map[string]visitor{}
			for _, name := range all {
				p.subject, _, _ = strings.Cut(name, " ")
				p.sid = map[string]string{"ada phone": "sid-phone", "ada laptop": "sid-laptop", "ben": "sid-ben"}[name]
				visitors[name] = newVisitor(t, a, p)
				visitors[name].logIn()
			}
			sockets := map[string]*webclient.Socket{}
			for name, v := range visitors {
				sockets[name] = v.Dial("/ws")
				require.NotEqual(t, "user", sockets[name].Ask("hello"))
			}
			guest := newVisitor(t, a, p)
			guest.OK("/set")
			cart := guest.OK("/id")

			require.Equal(t, http.StatusOK, a.post(p.logoutToken(c.sid, c.subject)))
			for _, name := range all {
				user, _, _ := strings.Cut(name, " ")
				if slices.Contains(c.ends, name) {
					require.Equal(t, bridge.CodeDestroyed, sockets[name].Closed(), name)
					require.Empty(t, visitors[name].OK("/user"), name)
				} else {
					require.Equal(t, "user "+userID(user), sockets[name].Ask("hello"), name)
					require.Equal(t, userID(user), visitors[name].OK("/user"), name)
				}
			}
			require.Equal(t, cart, guest.OK("/id"), "a guest stays")
		})
	}
}

// TestG15_LogoutWithAUserIDOfTheApplication: sub finds sessions whatever Options.UserID makes of
// it.
func TestG15_LogoutWithAUserIDOfTheApplication(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) {
		o.UserID = func(context.Context, *oidc.Claims) (string, error) { return "employee 7", nil }
	})
	v := newVisitor(t, a, p)
	v.logIn()
	require.Equal(t, "employee 7", v.OK("/user"))
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("", "ben")))
	require.Equal(t, "employee 7", v.OK("/user"))
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("", "ada")))
	require.Empty(t, v.OK("/user"))
}

// TestG15_LogoutOfASessionWhoseValuesWereCleared: the application may clear a session, which stays
// the user's.
func TestG15_LogoutOfASessionWhoseValuesWereCleared(t *testing.T) {
	for name, token := range map[string]func(p *idp) string{
		"sid":         func(p *idp) string { return p.logoutToken("sid-1", "") },
		"sub":         func(p *idp) string { return p.logoutToken("", "ada") },
		"sid and sub": func(p *idp) string { return p.logoutToken("sid-1", "ada") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			a := newApp(t, p, livestore.New(), nil)
			v := newVisitor(t, a, p)
			v.logIn()
			v.OK("/clear")
			require.Equal(t, userID("ada"), v.OK("/user"))
			require.Equal(t, http.StatusOK, a.post(token(p)))
			require.Empty(t, v.OK("/user"))
		})
	}
}

// TestG15_LogoutSparesASessionThatIsAnothersNow: the session that a login of another user, or
// another login of the user at the provider, has taken over.
func TestG15_LogoutSparesASessionThatIsAnothersNow(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(b *bridge.Options, _ *oidc.Options) { b.KeepValuesAtLogin = true })
	v := newVisitor(t, a, p)
	id := v.logIn()
	p.sid = "sid-2"
	require.Equal(t, id, v.logIn())
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "ada")))
	require.Equal(t, userID("ada"), v.OK("/user"), "sid-1 is over, this is sid-2")
	v.OK("/other")
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-2", "ada")))
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("", "ada")))
	require.Equal(t, "other", v.OK("/user"))
}

// TestG15_LogoutThatComesLateSparesLaterLogins: a user who has logged in again isn't logged out by
// an old token, which a provider sends again or an attacker has recorded.
func TestG15_LogoutThatComesLateSparesLaterLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		a := newApp(t, p, livestore.New(), nil)
		v := visitAt(t, webclient.ServeInMemory(t, a.handler), p)
		claims := p.logoutClaims("", "ada")
		claims["exp"] = time.Now().Add(time.Hour).Unix()
		token := p.sign(claims, nil)
		v.logIn() // at the same second as the token: begun before it, for all that can be told
		require.Equal(t, http.StatusOK, a.post(token))
		require.Empty(t, v.OK("/user"))
		rep := v.callback(v.begin("/login"))
		require.Equal(t, http.StatusUnauthorized, rep.Status, "an ID token that isn't newer than the logout")
		require.ErrorIs(t, a.failed, oidc.ErrLoggedOut)

		time.Sleep(2 * time.Second)
		v.logIn()
		require.Equal(t, http.StatusOK, a.post(token), "a replay")
		require.Equal(t, userID("ada"), v.OK("/user"))
		time.Sleep(2 * time.Minute)
		v.logIn()
		late := p.logoutClaims("", "ada")
		late["iat"] = time.Now().Add(-90 * time.Second).Unix()
		require.Equal(t, http.StatusOK, a.post(p.sign(late, nil)), "one that comes late")
		require.Equal(t, userID("ada"), v.OK("/user"))
		require.Equal(t, http.StatusOK, a.post(p.logoutToken("", "ada")))
		require.Empty(t, v.OK("/user"))
	})
}

// TestG15_SessionOfTheProviderDoesNotComeBack: a login with a sid that has ended is refused.
func TestG15_SessionOfTheProviderDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		a := newApp(t, p, livestore.New(), nil)
		v := visitAt(t, webclient.ServeInMemory(t, a.handler), p)
		require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "ada")))
		time.Sleep(5 * time.Second)
		require.Equal(t, http.StatusUnauthorized, v.callback(v.begin("/login")).Status)
		require.ErrorIs(t, a.failed, oidc.ErrLoggedOut)
		require.Empty(t, a.alive())
		p.sid = "sid-2"
		v.logIn()
		p.sid = ""
		v.logIn() // its ID token is newer than the logout
	})
}

// TestG15_LogoutTokenIsVerified: each rule of OpenID Connect Back-Channel Logout §2.6, and those
// that go-oidc doesn't check. What is refused ends nothing.
func TestG15_LogoutTokenIsVerified(t *testing.T) {
	set := func(name string, v any) func(claims map[string]any) {
		return func(claims map[string]any) { claims[name] = v }
	}
	without := func(name string) func(claims map[string]any) {
		return func(claims map[string]any) { delete(claims, name) }
	}
	typ := func(v any) map[jose.HeaderKey]any { return map[jose.HeaderKey]any{"typ": v} }
	at := func(name string, d time.Duration) func(claims map[string]any) {
		return func(claims map[string]any) { claims[name] = time.Now().Add(d).Unix() }
	}
	events := func(v any) any { return map[string]any{event: v} }
	for name, c := range map[string]struct {
		change func(claims map[string]any)
		header map[jose.HeaderKey]any
		want   int
	}{
		"valid":                   {nil, typ("logout+jwt"), 200},
		"no typ":                  {nil, nil, 200},
		"typ JWT":                 {nil, typ("JWT"), 200},
		"typ in another case":     {nil, typ("Logout+JWT"), 200},
		"typ as a media type":     {nil, typ("application/logout+jwt"), 200},
		"another typ":             {nil, typ("at+jwt"), 400},
		"typ dpop":                {nil, typ("dpop+jwt"), 400},
		"empty typ":               {nil, typ(""), 400},
		"typ that is a number":    {nil, typ(7), 400},
		"typ null":                {nil, typ(nil), 400},
		"unknown crit":            {nil, map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}, 400},
		"another issuer":          {set("iss", "https://evil.test"), nil, 400},
		"no issuer":               {without("iss"), nil, 400},
		"another audience":        {set("aud", "other"), nil, 400},
		"no audience":             {without("aud"), nil, 400},
		"several audiences":       {set("aud", []string{"other", clientID}), nil, 200},
		"no iat":                  {without("iat"), nil, 400},
		"iat null":                {set("iat", nil), nil, 400},
		"iat under another name":  {func(c map[string]any) { c["IAT"] = c["iat"]; delete(c, "iat") }, nil, 400},
		"iat text":                {set("iat", "now"), nil, 400},
		"iat negative":            {set("iat", -1), nil, 400},
		"iat huge":                {set("iat", 1e300), nil, 400},
		"iat in the future":       {at("iat", time.Hour), nil, 400},
		"iat within the leeway":   {at("iat", 30*time.Second), nil, 200},
		"iat with a fraction":     {func(c map[string]any) { c["iat"] = float64(time.Now().Unix()) + 0.5 }, nil, 200},
		"no exp":                  {without("exp"), nil, 400},
		"exp null":                {set("exp", nil), nil, 400},
		"exp long ago":            {at("exp", -time.Hour), nil, 400},
		"exp within the leeway":   {at("exp", -30*time.Second), nil, 200},
		"exp beyond the calendar": {set("exp", int64(1)<<62), nil, 400},
		"no events":               {without("events"), nil, 400},
		"events null":             {set("events", nil), nil, 400},
		"events empty":            {set("events", map[string]any{}), nil, 400},
		"events text":             {set("events", event), nil, 400},
		"another event":           {set("events", map[string]any{"http://evil.test": map[string]any{}}), nil, 400},
		"event null":              {set("events", events(nil)), nil, 400},
		"event text":              {set("events", events("{}")), nil, 400},
		"event number":            {set("events", events(1)), nil, 400},
		"event list":              {set("events", events([]any{})), nil, 400},
		"event with members":      {set("events", events(map[string]any{"x": 1})), nil, 200},
		"several events":          {set("events", map[string]any{event: map[string]any{}, "x": 1}), nil, 200},
		"a nonce":                 {set("nonce", "x"), nil, 400},
		"an empty nonce":          {set("nonce", ""), nil, 400},
		"nonce null":              {set("nonce", nil), nil, 400},
		"no jti":                  {without("jti"), nil, 400},
		"jti empty":               {set("jti", ""), nil, 400},
		"jti null":                {set("jti", nil), nil, 400},
		"neither sid nor sub":     {func(c map[string]any) { delete(c, "sid"); delete(c, "sub") }, nil, 400},
		"sid and sub empty":       {func(c map[string]any) { c["sid"], c["sub"] = "", "" }, nil, 400},
		"sid number":              {set("sid", 1), nil, 400},
		"unknown claims":          {set("x", map[string]any{"y": 1}), nil, 200},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newIDP(t)
				a := newApp(t, p, livestore.New(), nil)
				visitAt(t, webclient.ServeInMemory(t, a.handler), p).logIn()
				claims := p.logoutClaims("sid-1", "ada")
				if c.change != nil {
					c.change(claims)
				}
				require.Equal(t, c.want, a.post(p.sign(claims, c.header)))
				require.Equal(t, c.want == 200, len(a.alive()) == 0)
			})
		})
	}
}

// TestG15_LogoutTokenIsSignedByTheProvider: with one of its keys and algorithms.
func TestG15_LogoutTokenIsSignedByTheProvider(t *testing.T) {
	synctest.Test(t, logoutTokenIsSignedByTheProvider)
}

func logoutTokenIsSignedByTheProvider(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), nil)
	v := visitAt(t, webclient.ServeInMemory(t, a.handler), p)
	v.logIn()
	data, err := json.Marshal(p.logoutClaims("sid-1", "ada"))
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	good := p.logoutToken("sid-1", "ada")
	parts := strings.Split(good, ".")
	hmac, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, nil)
	require.NoError(t, err)
	mac, err := hmac.Sign(data)
	require.NoError(t, err)
	shared, err := mac.CompactSerialize()
	require.NoError(t, err)
	other := p.logoutClaims("sid-1", "ada")
	other["sub"] = "eve"
	otherData, err := json.Marshal(other)
	require.NoError(t, err)
	flattened, err := json.Marshal(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	require.NoError(t, err)
	for name, token := range map[string]string{
		"none":            encode([]byte(`{"alg":"none"}`)) + "." + encode(data) + ".",
		"None":            encode([]byte(`{"alg":"None"}`)) + "." + encode(data) + ".",
		"no signature":    parts[0] + "." + parts[1] + ".",
		"other claims":    parts[0] + "." + encode(otherData) + "." + parts[2],
		"another key":     signWith(t, newKey(t, "key-1"), data, nil),
		"an unknown key":  signWith(t, newKey(t, "key-2"), data, nil),
		"a shared secret": shared,
		"two parts":       parts[0] + "." + parts[1],
		"not a token":     "x",
		"not base64":      "!.!.!",
		"JSON":            string(flattened),
		"no JSON":         signWith(t, p.keys[0], []byte("x"), nil),
		"a list":          signWith(t, p.keys[0], []byte("[]"), nil),
		"null":            signWith(t, p.keys[0], []byte("null"), nil),
		"with an embedded key": func() string {
			key := newKey(t, "key-1")
			return signWith(t, key, data, map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: key.Public()}})
		}(),
	} {
		require.Equal(t, http.StatusBadRequest, a.post(token), name)
	}
	require.Equal(t, userID("ada"), v.OK("/user"))
	require.Equal(t, http.StatusOK, a.post(good))
	require.Empty(t, v.OK("/user"))
}

// TestG15_KeysOfTheProviderMayChange: a logout token with a new key is valid, and tokens with
// unknown keys, which anyone can send, don't have the keys fetched all the time.
func TestG15_KeysOfTheProviderMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		a := newApp(t, p, livestore.New(), nil)
		v := visitAt(t, webclient.ServeInMemory(t, a.handler), p)
		v.logIn()
		require.Equal(t, 1, p.fetched)
		data, err := json.Marshal(p.logoutClaims("sid-1", ""))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		began := time.Now()
		var flood sync.WaitGroup
		for range 100 {
			forged := signWith(t, newKey(t, "unknown"), data, nil)
			flood.Go(func() {
				for range 5 {
					assert.Equal(t, http.StatusBadRequest, a.post(forged))
				}
			})
		}
		flood.Wait()
		require.LessOrEqual(t, p.fetched-1, int(time.Since(began)/time.Second)+1)
		p.publish(newKey(t, "key-2"))
		require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "")))
		require.Empty(t, a.alive())

		p.publish(newKey(t, "key-3"))
		p.setDown(true)
		require.Equal(t, http.StatusServiceUnavailable, a.post(p.logoutToken("sid-1", "")), "it can be sent again")
		p.setDown(false)
		require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "")))
	})
}

// TestG15_KeyPublishedDuringARequestForKeys: its token is valid, though a request for keys under way
// has the answer without the key.
func TestG15_KeyPublishedDuringARequestForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		a := newApp(t, p, livestore.New(), nil)
		v := visitAt(t, webclient.ServeInMemory(t, a.handler), p)
		v.logIn()
		data, err := json.Marshal(p.logoutClaims("sid-1", ""))
		require.NoError(t, err)
		time.Sleep(time.Minute) // so that the keys are requested at once
		answer := make(chan struct{})
		p.onKeys = func() { <-answer }
		var posts sync.WaitGroup
		posts.Go(func() { assert.Equal(t, http.StatusBadRequest, a.post(signWith(t, newKey(t, "unknown"), data, nil))) })
		synctest.Wait() // the request for keys is at the provider
		p.publish(newKey(t, "key-2"))
		posts.Go(func() { assert.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", ""))) })
		synctest.Wait()
		close(answer)
		posts.Wait()
		require.Empty(t, a.alive())
	})
}

// TestG15_LogoutRequest: a form with one token, of limited size. The answers are not cached.
func TestG15_LogoutRequest(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), nil)
	v := newVisitor(t, a, p)
	v.logIn()
	const form = "application/x-www-form-urlencoded"
	token := p.logoutToken("sid-1", "ada")
	for name, c := range map[string]struct{ body, kind string }{
		"nothing":           {"", form},
		"another type":      {"logout_token=" + token, "text/plain"},
		"no type":           {"logout_token=" + token, ""},
		"JSON":              {`{"logout_token":"` + token + `"}`, "application/json"},
		"multipart":         {"--x\r\nContent-Disposition: form-data; name=logout_token\r\n\r\n" + token + "\r\n--x--\r\n", "multipart/form-data; boundary=x"},
		"another parameter": {"token=" + token, form},
		"two tokens":        {"logout_token=" + token + "&logout_token=" + token, form},
		"an empty token":    {"logout_token=", form},
		"a malformed form":  {"logout_token=%zz", form},
		"too large":         {"logout_token=" + token + "&x=" + strings.Repeat("x", 64<<10), form},
	} {
		w := a.postForm(c.body, c.kind)
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
		require.JSONEq(t, `{"error":"invalid_request"}`, w.Body.String(), name)
	}
	inURL := httptest.NewRequest(http.MethodPost, "http://app.test/backchannel?logout_token="+token, nil)
	inURL.Header.Set("Content-Type", form)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, inURL)
	require.Equal(t, http.StatusBadRequest, w.Code, "a URL is logged")
	require.Equal(t, http.StatusMethodNotAllowed, v.Get("/backchannel?logout_token="+token).Status)
	require.Equal(t, userID("ada"), v.OK("/user"))

	done := a.postForm(url.Values{"logout_token": {token}, "more": {"x"}}.Encode(), form+"; charset=utf-8")
	require.Equal(t, http.StatusOK, done.Code)
	require.Equal(t, "no-store", done.Header().Get("Cache-Control"))
	require.Empty(t, done.Header().Values("Set-Cookie"))
	require.Empty(t, v.OK("/user"))
}

// TestG15_LogoutNeedsAStore: without one there is no back-channel logout, and a store that lacks a
// capability is an error.
func TestG15_LogoutNeedsAStore(t *testing.T) {
	p := newIDP(t)
	a := newApp(t, p, livestore.New(), func(_ *bridge.Options, o *oidc.Options) { o.Store = nil })
	newVisitor(t, a, p).logIn()
	require.Equal(t, http.StatusNotImplemented, a.post(p.logoutToken("sid-1", "ada")))
}

// TestG15_SeveralClientsOfOneProvider: a logout token is for one of them, although they share
// users, sids and the store.
func TestG15_SeveralClientsOfOneProvider(t *testing.T) {
	st := livestore.New()
	p, q := newIDP(t), newIDP(t)
	q.client, q.keys = "blog", p.keys
	a, b := newApp(t, p, st, nil), newApp(t, q, st, nil)
	v, w := newVisitor(t, a, p), newVisitor(t, b, q)
	v.logIn()
	w.logIn()
	require.Equal(t, http.StatusBadRequest, a.post(q.logoutToken("sid-1", "ada")))
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "ada")))
	require.Equal(t, http.StatusOK, a.post(p.logoutToken("", "ada")))
	require.Empty(t, v.OK("/user"))
	require.Equal(t, userID("ada"), w.OK("/user"))
}

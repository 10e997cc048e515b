package oidc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

const (
	issuer   = "https://id.test"
	clientID = "shop"
	event    = "http://schemas.openid.net/event/backchannel-logout"
)

// idp is an OpenID Connect provider without a network. Its user is always willing.
type idp struct {
	t      testing.TB
	issuer string
	client string
	mux    http.ServeMux

	mu      sync.Mutex
	down    bool
	fetched int // how often the keys were
	keys    []signingKey
	codes   map[string]url.Values // requests of logins, by code

	// What it says of the user.
	subject, sid string
	change       func(claims map[string]any) // of the next ID tokens
	about        map[string]any              // added to its configuration
	onToken      func()                      // runs before a code is exchanged
	onKeys       func()                      // runs before the keys are sent
	tokenError   string
	signer       *signingKey // of tokens; nil: the newest of keys
}

type signingKey struct {
	*ecdsa.PrivateKey
	id string
}

func newKey(t testing.TB, id string) signingKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return signingKey{key, id}
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	p := &idp{
		t: t, issuer: issuer, client: clientID, subject: "ada", sid: "sid-1",
		keys: []signingKey{newKey(t, "key-1")}, codes: map[string]url.Values{}, about: map[string]any{},
	}
	p.mux.HandleFunc("GET /.well-known/openid-configuration", p.configuration)
	p.mux.HandleFunc("GET /keys", p.publicKeys)
	p.mux.HandleFunc("POST /token", p.token)
	return p
}

// Client returns a client for the provider.
func (p *idp) Client() *http.Client { return &http.Client{Transport: p} }

// RoundTrip implements http.RoundTripper.
func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := context.Cause(r.Context()); err != nil {
		return nil, err
	}
	p.mu.Lock()
	down := p.down
	p.mu.Unlock()
	if down {
		return nil, fmt.Errorf("the provider is down")
	}
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	return w.Result(), nil
}

func (p *idp) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *idp) publish(key signingKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, key)
}

func (p *idp) configuration(w http.ResponseWriter, _ *http.Request) {
	about := map[string]any{
		"issuer": p.issuer, "authorization_endpoint": p.issuer + "/auth", "token_endpoint": p.issuer + "/token",
		"jwks_uri": p.issuer + "/keys", "id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256"},
	}
	maps.Copy(about, p.about)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(about)
}

func (p *idp) publicKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	p.fetched++
	var set jose.JSONWebKeySet
	for _, key := range p.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: key.id, Algorithm: "ES256", Use: "sig"})
	}
	p.mu.Unlock()
	if p.onKeys != nil {
		p.onKeys()
	}
	_ = json.NewEncoder(w).Encode(set)
}

// login answers a request of the Login handler: it returns the query of the callback.
func (p *idp) login(location string) url.Values {
	p.t.Helper()
	at, err := url.Parse(location)
	require.NoError(p.t, err)
	require.Equal(p.t, p.issuer+"/auth", at.Scheme+"://"+at.Host+at.Path)
	query := at.Query()
	require.Equal(p.t, "code", query.Get("response_type"))
	require.Equal(p.t, p.client, query.Get("client_id"))
	require.Equal(p.t, "S256", query.Get("code_challenge_method"))
	code := rand.Text()
	p.codes[code] = query
	return url.Values{"code": {code}, "state": {query.Get("state")}}
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	if p.onToken != nil {
		p.onToken()
	}
	w.Header().Set("Content-Type", "application/json")
	asked, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	failed := p.tokenError
	if failed == "" && (!ok || asked.Get("redirect_uri") != r.FormValue("redirect_uri") ||
		asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:])) {
		failed = "invalid_grant"
	}
	if failed != "" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": failed})
		return
	}
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": p.issuer, "aud": p.client, "sub": p.subject, "nonce": asked.Get("nonce"), "iat": now, "exp": now + 300,
	}
	if p.sid != "" {
		claims["sid"] = p.sid
	}
	if p.change != nil {
		p.change(claims)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": p.sign(claims, nil),
	})
}

// logoutClaims are those of a valid logout token with sid and sub. An empty one is left out.
func (p *idp) logoutClaims(sid, subject string) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": p.issuer, "aud": p.client, "iat": now, "exp": now + 120, "jti": rand.Text(),
		"events": map[string]any{event: map[string]any{}},
	}
	if sid != "" {
		claims["sid"] = sid
	}
	if subject != "" {
		claims["sub"] = subject
	}
	return claims
}

// logoutToken returns a valid logout token.
func (p *idp) logoutToken(sid, subject string) string {
	return p.sign(p.logoutClaims(sid, subject), map[jose.HeaderKey]any{"typ": "logout+jwt"})
}

// sign returns the claims as a token. With header it has these fields besides kid and alg.
func (p *idp) sign(claims any, header map[jose.HeaderKey]any) string {
	data, ok := claims.([]byte)
	if !ok {
		var buf bytes.Buffer
		require.NoError(p.t, json.NewEncoder(&buf).Encode(claims))
		data = buf.Bytes()
	}
	key := p.keys[len(p.keys)-1]
	if p.signer != nil {
		key = *p.signer
	}
	return signWith(p.t, key, data, header)
}

func signWith(t testing.TB, key signingKey, data []byte, header map[jose.HeaderKey]any) string {
	t.Helper()
	opts := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"kid": key.id}}
	maps.Copy(opts.ExtraHeaders, header)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.PrivateKey}, opts)
	require.NoError(t, err)
	jws, err := signer.Sign(data)
	require.NoError(t, err)
	raw, err := jws.CompactSerialize()
	require.NoError(t, err)
	return raw
}

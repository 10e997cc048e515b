package oidc_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
)

// withSID is the storage of the provider of zitadel/oidc, whose ID tokens then have a sid.
type withSID struct {
	*storage.Storage
	sid atomic.Pointer[string]
}

func (s *withSID) SetUserinfoFromRequest(
	ctx context.Context, info *zitadel.UserInfo, request op.IDTokenRequest, scopes []string,
) error {
	info.AppendClaims("sid", *s.sid.Load())
	return s.Storage.SetUserinfoFromRequest(ctx, info, request, scopes)
}

// server is an application or a provider whose handler is known after its address.
func server(t *testing.T) (address string, use func(http.Handler)) {
	t.Helper()
	var handler http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	return srv.URL, func(h http.Handler) { handler = h }
}

// TestG15_FullLoginAtARealProvider: a browser logs in at the provider of zitadel/oidc, by its form
// and over the network, and is logged out by a token with the provider's signature.
func TestG15_FullLoginAtARealProvider(t *testing.T) {
	idpURL, serveIDP := server(t)
	appURL, serveApp := server(t)
	users := storage.NewUserStore(idpURL)
	storage.RegisterClients(storage.WebClient("shop", "secret", appURL+"/callback"))
	st := &withSID{Storage: storage.NewStorage(users)}
	setSID := func(sid string) { st.sid.Store(&sid) }
	serveIDP(exampleop.SetupServer(idpURL, st, slog.New(slog.DiscardHandler), false))

	sessions := livestore.New()
	b, err := bridge.New(sessions, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p, err := oidc.New(t.Context(), b, &oidc.Options{
		Issuer: idpURL, ClientID: "shop", ClientSecret: "secret", RedirectURL: appURL + "/callback",
		Scopes: []string{"openid", "profile"}, Store: sessions, ProviderLogout: true,
		HTTPClient: &http.Client{Transport: transport},
	})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	a := &app{t: t, bridge: b, provider: p}
	a.handler = a.routes()
	serveApp(a.handler)

	logIn := func(sid string) *webclient.Browser {
		setSID(sid)
		br := webclient.NewBrowserOver(t, appURL, transport) // follows redirects, to the provider and back
		res, err := br.Client.Get(appURL + "/login?return=/user")
		require.NoError(t, err)
		page := read(t, res)
		require.Contains(t, page, "password", "the form of the provider")
		res, err = br.Client.PostForm(idpURL+"/login/username", url.Values{
			"username": {"test-user2"}, "password": {"verysecure"}, "id": {res.Request.URL.Query().Get("authRequestID")},
		})
		require.NoError(t, err)
		require.Equal(t, oidc.UserIDOf(idpURL, "id2"), read(t, res))
		require.Equal(t, appURL+"/user", res.Request.URL.String())
		return br
	}
	phone, laptop, tablet := logIn("sid-phone"), logIn("sid-laptop"), logIn("sid-tablet")
	tab, other := phone.Dial("/ws"), laptop.Dial("/ws")
	require.Equal(t, "user "+oidc.UserIDOf(idpURL, "id2"), tab.Ask("hello"))

	key, err := st.SigningKey(t.Context())
	require.NoError(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.SignatureAlgorithm(), Key: jose.JSONWebKey{
		Key: key.Key(), KeyID: key.ID(),
	}}, (&jose.SignerOptions{}).WithType("logout+jwt"))
	require.NoError(t, err)
	post := func(sid, subject string) int {
		claims := (&idp{issuer: idpURL, client: "shop"}).logoutClaims(sid, subject)
		data, err := json.Marshal(claims)
		require.NoError(t, err)
		jws, err := signer.Sign(data)
		require.NoError(t, err)
		token, err := jws.CompactSerialize()
		require.NoError(t, err)
		res, err := tablet.WithoutJar().Client.PostForm(appURL+"/backchannel", url.Values{"logout_token": {token}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, http.StatusOK, post("sid-phone", "id2"))
	require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	require.Empty(t, phone.OK("/user"))
	require.NotEmpty(t, laptop.OK("/user"))
	require.Equal(t, "user "+oidc.UserIDOf(idpURL, "id2"), other.Ask("hello"))

	res, err := tablet.Client.PostForm(appURL+"/logout", nil)
	require.NoError(t, err)
	require.Contains(t, read(t, res), "signed out", "by the provider, which has accepted the ID token")
	require.Empty(t, tablet.OK("/user"))

	require.Equal(t, http.StatusOK, post("", "id2"))
	require.Equal(t, bridge.CodeDestroyed, other.Closed())
	require.Empty(t, laptop.OK("/user"))
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(body))
	return string(body)
}

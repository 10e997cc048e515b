package oidc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/oidc"
	"github.com/sessionbridge/sessionbridge/store"
)

// app is an application whose users log in at a provider.
type app struct {
	t        testing.TB
	bridge   *bridge.Bridge
	provider *oidc.Provider
	handler  http.Handler
	failed   error // of the last login or logout that failed
}

// newApp starts an application. Several with one store are nodes.
func newApp(t testing.TB, p *idp, st store.Store, change func(b *bridge.Options, o *oidc.Options)) *app {
	t.Helper()
	bo := &bridge.Options{Keys: [][]byte{slices.Repeat([]byte("k"), 32)}}
	a := &app{t: t}
	oo := &oidc.Options{
		Issuer: p.issuer, ClientID: p.client, ClientSecret: "secret", RedirectURL: "http://app.test/callback",
		Store: st, HTTPClient: p.Client(),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			a.failed = err
			w.WriteHeader(oidc.HTTPStatus(err))
		},
	}
	if change != nil {
		change(bo, oo)
	}
	var err error
	a.bridge, err = bridge.New(st, bo)
	require.NoError(t, err)
	a.provider, err = oidc.New(t.Context(), a.bridge, oo)
	require.NoError(t, err)
	t.Cleanup(func() {
		a.provider.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Limit)
		defer cancel()
		require.NoError(t, a.bridge.Shutdown(ctx))
	})
	a.handler = a.routes()
	return a
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/login", a.provider.Login())
	mux.Handle("/callback", a.provider.Callback())
	mux.Handle("/logout", a.provider.Logout())
	mux.Handle("/backchannel", a.provider.BackChannelLogout())
	page := func(path string, do func(s *bridge.Session) string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s, err := a.bridge.Session(r)
			if err != nil {
				a.bridge.WriteError(w, r, err)
				return
			}
			fmt.Fprint(w, do(s))
		})
	}
	page("/user", func(s *bridge.Session) string { return s.UserID() })
	page("/id", func(s *bridge.Session) string { return s.ID() })
	page("/clear", func(s *bridge.Session) string { s.Clear(); return "" })
	page("/other", func(s *bridge.Session) string { return fmt.Sprint(s.Login("other")) })
	page("/set", func(s *bridge.Session) string { s.Set("cart", 1); return "" })
	mux.Handle("/ws", a.bridge.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			user, err := bridge.WithSession(ctx, c, func(_ context.Context, s *bridge.Session) (string, error) {
				return s.UserID(), nil
			}, nil)
			if err != nil {
				return err
			}
			if err := c.Write(ctx, websocket.MessageText, []byte("user "+user)); err != nil {
				return err
			}
		}
	}, nil))
	return a.bridge.Handler(mux)
}

// visitor is a browser that follows no redirect.
type visitor struct {
	*webclient.Browser
	p *idp
}

func newVisitor(t testing.TB, a *app, p *idp) visitor {
	t.Helper()
	return visitAt(t, webclient.Serve(t, a.handler), p)
}

func visitAt(t testing.TB, site *webclient.Site, p *idp) visitor {
	t.Helper()
	br := webclient.NewBrowser(t, site)
	br.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return visitor{br, p}
}

// begin begins a login, and returns the query of the provider's answer.
func (v visitor) begin(path string) url.Values {
	v.T.Helper()
	rep := v.Get(path)
	require.Equal(v.T, http.StatusSeeOther, rep.Status, rep.Body)
	require.Equal(v.T, "no-store", rep.Header.Get("Cache-Control"))
	return v.p.login(rep.Header.Get("Location"))
}

func (v visitor) callback(query url.Values) webclient.Reply {
	v.T.Helper()
	return v.Get("/callback?" + query.Encode())
}

// logIn logs in, which must succeed, and returns the session's ID.
func (v visitor) logIn() string {
	v.T.Helper()
	rep := v.callback(v.begin("/login"))
	require.Equal(v.T, http.StatusSeeOther, rep.Status, rep.Body)
	return v.OK("/id")
}

// post sends a logout token as the provider does, and returns the status.
func (a *app) post(token string) int {
	return a.postForm(url.Values{"logout_token": {token}}.Encode(), "application/x-www-form-urlencoded").Code
}

func (a *app) postForm(body, kind string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://app.test/backchannel", strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

// alive returns the users of all sessions of users.
func (a *app) alive() (users []string) {
	a.t.Helper()
	for info, err := range a.bridge.Sessions(a.t.Context(), bridge.Filter{}) {
		require.NoError(a.t, err)
		if info.UserID != "" {
			users = append(users, info.UserID)
		}
	}
	slices.Sort(users)
	return users
}

func userID(subject string) string { return oidc.UserIDOf(issuer, subject) }

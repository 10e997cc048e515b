package bridge_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// derive returns a request with the context of r and the cookies of p.
func derive(r *http.Request, path string, p webclient.Pocket) *http.Request {
	sub := httptest.NewRequestWithContext(r.Context(), http.MethodGet, path, nil)
	for name, value := range p {
		sub.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return sub
}

// A request that is made with another one's context and has cookies of its own never gets that
// one's session.
func TestRequestWithAnotherOnesContextHasItsOwnSession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	ada, bob := webclient.Pocket{}, webclient.Pocket{}
	ada.Get(t, h, "/login?user=ada")
	bob.Get(t, h, "/login?user=bob")
	newcomer, stranger, halfAda := webclient.Pocket{"sid.cid": bob["sid.cid"]}, webclient.Pocket{"sid": "junk"}, webclient.Pocket{"sid": ada["sid"], "sid.cid": bob["sid.cid"]}
	a.Page("/user", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		return s.UserID(), nil
	})
	a.Page("/outer", func(r *http.Request) (any, error) {
		for _, other := range []webclient.Pocket{bob, newcomer, stranger, halfAda} {
			sub := derive(r, "/user", other)
			_, err := a.Session(sub)
			require.ErrorIs(t, err, bridge.ErrNoMiddleware)
			require.ErrorIs(t, a.WithSession(sub, func(context.Context, *bridge.Session) error { return nil }, nil), bridge.ErrNoMiddleware)
			_, err = a.Attach(sub, func(int, string) {})
			require.ErrorIs(t, err, bridge.ErrNoMiddleware)
			_, err = a.Ticket(sub)
			require.ErrorIs(t, err, bridge.ErrNoMiddleware)
			_, err = a.Gorilla().Get(sub, "x")
			require.ErrorIs(t, err, bridge.ErrNoMiddleware)
			require.Empty(t, a.HandshakeHeader(sub))
		}

		// Through Handler it is a request like any other.
		w := httptest.NewRecorder()
		h.ServeHTTP(w, derive(r, "/user", bob))
		require.Equal(t, "bob", w.Body.String())
		w = httptest.NewRecorder()
		h.ServeHTTP(w, derive(r, "/user", stranger))
		require.Empty(t, w.Body.String())
		w = httptest.NewRecorder()
		h.ServeHTTP(w, derive(r, "/inc", bob))
		require.Equal(t, "1", w.Body.String())

		// With the same cookies, or none, it is the outer one's.
		s, err := a.Session(r)
		require.NoError(t, err)
		for _, same := range []webclient.Pocket{ada, {}, {"theme": "dark"}} {
			again, err := a.Session(derive(r, "/user", same))
			require.NoError(t, err)
			require.Same(t, s, again)
		}
		clone := r.Clone(r.Context())
		clone.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
		again, err := a.Session(clone)
		require.NoError(t, err)
		require.Same(t, s, again)
		return s.UserID(), nil
	})
	require.Equal(t, "ada", ada.Get(t, h, "/outer").Body.String())
	require.Equal(t, "1", bob.Get(t, h, "/get").Body.String(), "the inner request has stored what it changed")
	require.Equal(t, "0", ada.Get(t, h, "/get").Body.String())
}

// What is set for the inner request's session goes into the inner response.
func TestCookiesOfADerivedRequestAreItsOwn(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	ada, bob := webclient.Pocket{}, webclient.Pocket{}
	ada.Get(t, h, "/login?user=ada")
	bob.Get(t, h, "/inc")
	before := maps.Clone(bob)
	a.Page("/outer", func(r *http.Request) (any, error) {
		sub := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/login?user=bob", nil)
		bob.Send(h, sub)
		return "", nil
	})
	w := ada.Get(t, h, "/outer")
	require.Empty(t, w.Header()["Set-Cookie"])
	require.NotEqual(t, before["sid"], bob["sid"])
	require.Equal(t, "1", bob.Get(t, h, "/get").Body.String())
}

func TestTokenOfADerivedRequestIsItsOwn(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{TokenFrom: bridge.TokenFromHeader("Authorization")})
	h := a.Handler(a.Mux)
	login := func(user string) string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login?user="+user, nil)
		r.Header.Set("Authorization", "Bearer")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return "Bearer " + w.Header().Get(bridge.SessionTokenHeader)
	}
	ada, bob := login("ada"), login("bob")
	a.Mux.HandleFunc("/outer", func(_ http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		require.Equal(t, "ada", s.UserID())
		sub := derive(r, "/", nil)
		again, err := a.Session(sub)
		require.NoError(t, err)
		require.Same(t, s, again)
		sub.Header.Set("Authorization", ada)
		again, err = a.Session(sub)
		require.NoError(t, err)
		require.Same(t, s, again)
		sub.Header.Set("Authorization", bob)
		_, err = a.Session(sub)
		require.ErrorIs(t, err, bridge.ErrNoMiddleware)
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/outer", nil)
	r.Header.Set("Authorization", ada)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
}

// A request that is made with the context of one that is over is served as any other.
func TestRequestWithTheContextOfOneThatIsOver(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var over *http.Request
	a.Page("/outer", func(r *http.Request) (any, error) { over = r; return "", nil })
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	visitor.Get(t, h, "/outer")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, derive(over, "/inc", visitor))
	require.Equal(t, "2", w.Body.String())
}

package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// vault is an application with a page and a socket that want a login of the last ten minutes.
func vault(t *testing.T) (*app, *browser) {
	t.Helper()
	a := makeApp(t, livestore.New(), nil)
	const recent = 10 * time.Minute
	a.mux.Handle("/vault", a.RequireAuthAge(recent, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("gold"))
	})))
	a.mux.Handle("/vaultsocket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			answer := "gold"
			err := c.WithSession(ctx, func(_ context.Context, s *bridge.Session) error { return s.RequireAuthAge(recent) }, nil)
			if err != nil {
				answer = err.Error()
			}
			if err := c.WriteJSON(ctx, answer); err != nil {
				return err
			}
		}
	}, nil))
	a.session("/loggedin", func(s *bridge.Session) (any, error) { return s.LoggedIn().UTC().Format(time.RFC3339), nil })
	return a, newBrowser(t, a.serveInMemory(t))
}

func TestS12_SensitivePagesWantARecentLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, br := vault(t)
		require.Equal(t, http.StatusUnauthorized, br.get("/vault").status, "no session")
		br.ok("/inc")
		require.Equal(t, http.StatusUnauthorized, br.get("/vault").status, "a session without a login")
		br.ok("/login?user=ada")
		require.Equal(t, "gold", br.ok("/vault"))
		time.Sleep(10 * time.Minute)
		require.Equal(t, "gold", br.ok("/vault"), "as old as it may be")
		br.ok("/rotate")
		time.Sleep(time.Second)
		rep := br.get("/vault")
		require.Equal(t, http.StatusUnauthorized, rep.status, "a rotation is no login")
		require.Equal(t, "no-store", rep.header.Get("Cache-Control"))
		require.Empty(t, rep.header.Get("WWW-Authenticate"))
		require.Equal(t, "1", br.ok("/get"), "the session itself goes on")
		br.ok("/login?user=ada")
		require.Equal(t, "gold", br.ok("/vault"))
	})
}

func TestS12_SensitiveMessagesWantARecentLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, br := vault(t)
		br.ok("/inc")
		ws := br.dial("/vaultsocket")
		require.Contains(t, ws.ask("open"), bridge.ErrAuthAge.Error())
		gone := ws.whenClosed()
		br.ok("/login?user=ada")
		require.Equal(t, bridge.CodeReconnect, receive(t, gone))
		ws = br.dial("/vaultsocket").listen()
		require.Equal(t, `"gold"`, ws.ask("open"))
		time.Sleep(10*time.Minute + time.Second)
		require.Contains(t, ws.ask("open"), bridge.ErrAuthAge.Error())
	})
}

func TestS12_LastLoginIsKeptWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, br := vault(t)
		br.ok("/inc")
		require.Equal(t, "0001-01-01T00:00:00Z", br.ok("/loggedin"))
		a.session("/twice", func(s *bridge.Session) (any, error) {
			require.NoError(t, s.Login("ada"))
			require.NoError(t, s.RequireAuthAge(0), "the login that this request makes counts")
			return s.LoggedIn().UTC().Format(time.RFC3339), nil
		})
		at := time.Now().UTC().Format(time.RFC3339)
		require.Equal(t, at, br.ok("/twice"))
		time.Sleep(time.Hour)
		br.ok("/inc")
		br.ok("/rotate")
		require.Equal(t, at, br.ok("/loggedin"))
	})
}

func TestS12_LoginOfAnEndedSessionIsNone(t *testing.T) {
	a, br := makeApp(t, livestore.New(), nil), (*browser)(nil)
	a.session("/out", func(s *bridge.Session) (any, error) {
		s.Logout()
		return nil, s.RequireAuthAge(time.Hour)
	})
	br = newBrowser(t, a.serve(t))
	br.ok("/inc")
	br.ok("/login?user=ada")
	require.Equal(t, http.StatusUnauthorized, br.get("/out").status)
}

// A login from the future is one of a clock that was set back: it must not be good for ever.
func TestS12_LoginFromTheFutureIsNone(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	h := a.Handler(a.mux)
	a.mux.Handle("/vault", a.RequireAuthAge(time.Minute, http.NotFoundHandler()))
	p := pocket{}
	p.get(t, h, "/inc")
	p.get(t, h, "/login?user=ada")
	id := p.get(t, h, "/id").Body.String()
	rec := stored(t, st, id)
	rec.LoggedIn = time.Now().Add(time.Hour)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, p.get(t, h, "/vault").Code)
}

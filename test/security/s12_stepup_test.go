package security_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// vault is an application with a page and a socket that require a login within the last ten
// minutes.
func vault(t *testing.T) (*testkit.App, *webclient.Browser) {
	t.Helper()
	a := testkit.NewApp(t, livestore.New(), nil)
	const recent = 10 * time.Minute
	a.Mux.Handle("/vault", a.RequireAuthAge(recent, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("gold"))
	})))
	a.Mux.Handle("/vaultsocket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
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
	a.SessionPage("/loggedin", func(s *bridge.Session) (any, error) { return s.LoggedIn().UTC().Format(time.RFC3339), nil })
	return a, webclient.NewBrowser(t, a.ServeInMemory(t))
}

func TestS12_SensitivePagesWantARecentLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, br := vault(t)
		require.Equal(t, http.StatusUnauthorized, br.Get("/vault").Status, "no session")
		br.OK("/inc")
		require.Equal(t, http.StatusUnauthorized, br.Get("/vault").Status, "a session without a login")
		br.OK("/login?user=ada")
		require.Equal(t, "gold", br.OK("/vault"))
		time.Sleep(10 * time.Minute)
		require.Equal(t, "gold", br.OK("/vault"), "as old as it may be")
		br.OK("/rotate")
		time.Sleep(time.Second)
		rep := br.Get("/vault")
		require.Equal(t, http.StatusUnauthorized, rep.Status, "a rotation is no login")
		require.Equal(t, "no-store", rep.Header.Get("Cache-Control"))
		require.Empty(t, rep.Header.Get("WWW-Authenticate"))
		require.Equal(t, "1", br.OK("/get"), "the session itself goes on")
		br.OK("/login?user=ada")
		require.Equal(t, "gold", br.OK("/vault"))
	})
}

func TestS12_SensitiveMessagesWantARecentLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, br := vault(t)
		br.OK("/inc")
		ws := br.Dial("/vaultsocket")
		require.Contains(t, ws.Ask("open"), bridge.ErrAuthAge.Error())
		gone := ws.WhenClosed()
		br.OK("/login?user=ada")
		require.Equal(t, bridge.CodeReconnect, await.Receive(t, gone))
		ws = br.Dial("/vaultsocket").Listen()
		require.Equal(t, `"gold"`, ws.Ask("open"))
		time.Sleep(10*time.Minute + time.Second)
		require.Contains(t, ws.Ask("open"), bridge.ErrAuthAge.Error())
	})
}

func TestS12_LastLoginIsKeptWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, br := vault(t)
		br.OK("/inc")
		require.Equal(t, "0001-01-01T00:00:00Z", br.OK("/loggedin"))
		a.SessionPage("/twice", func(s *bridge.Session) (any, error) {
			require.NoError(t, s.Login("ada"))
			require.NoError(t, s.RequireAuthAge(0), "the login that this request makes counts")
			return s.LoggedIn().UTC().Format(time.RFC3339), nil
		})
		at := time.Now().UTC().Format(time.RFC3339)
		require.Equal(t, at, br.OK("/twice"))
		time.Sleep(time.Hour)
		br.OK("/inc")
		br.OK("/rotate")
		require.Equal(t, at, br.OK("/loggedin"))
	})
}

func TestS12_LoginOfAnEndedSessionIsNone(t *testing.T) {
	a, br := testkit.NewApp(t, livestore.New(), nil), (*webclient.Browser)(nil)
	a.SessionPage("/out", func(s *bridge.Session) (any, error) {
		s.Logout()
		return nil, s.RequireAuthAge(time.Hour)
	})
	br = webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	br.OK("/login?user=ada")
	require.Equal(t, http.StatusUnauthorized, br.Get("/out").Status)
}

// A login in the future means that a clock was set back: it must not count as recent for ever.
func TestS12_LoginFromTheFutureIsNone(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	h := a.Handler(a.Mux)
	a.Mux.Handle("/vault", a.RequireAuthAge(time.Minute, http.NotFoundHandler()))
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	p.Get(t, h, "/login?user=ada")
	id := p.Get(t, h, "/id").Body.String()
	rec := teststore.Stored(t, st, id)
	rec.LoggedIn = time.Now().Add(time.Hour)
	_, err := st.Set(t.Context(), rec)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, p.Get(t, h, "/vault").Code)
}

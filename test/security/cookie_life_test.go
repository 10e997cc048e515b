package security_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// lifeOf returns the Max-Age of a session cookie that a response sets, in seconds; 0: none, so that
// the cookie ends with the browser.
func lifeOf(t *testing.T, w *httptest.ResponseRecorder) int {
	t.Helper()
	for _, c := range w.Result().Cookies() {
		if c.Name == "sid" {
			require.NotEmpty(t, c.Value)
			require.True(t, c.Expires.IsZero(), c.Raw)
			return c.MaxAge
		}
	}
	require.Fail(t, "no session cookie")
	return 0
}

const hour = 3600 // seconds

// rememberMe is an application whose page /login has a box "remember me".
func rememberMe(t *testing.T, opts *bridge.Options) http.Handler {
	a := testkit.NewApp(t, livestore.New(), opts)
	a.Page("/remember", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		s.SetPersistent(r.URL.Query().Get("box") == "on")
		return "in", s.Login("ada")
	})
	a.SessionPage("/clear", func(s *bridge.Session) (any, error) { s.Clear(); return "cleared", nil })
	a.SessionPage("/keep", func(s *bridge.Session) (any, error) { s.SetPersistent(true); return "kept", nil })
	return a.Handler(a.Mux)
}

func TestCookieEndsWithTheBrowserByOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := rememberMe(t, &bridge.Options{
			Cookie: bridge.CookieBrowserSession, Lifetime: 8 * time.Hour, IdleTimeout: bridge.Off, RenewEvery: 2 * time.Hour,
		})
		visitor := webclient.Pocket{}
		w := visitor.Get(t, h, "/inc")
		require.Zero(t, lifeOf(t, w))
		for _, c := range w.Result().Cookies() {
			require.Equal(t, c.Name == "sid.cid", c.MaxAge > 0, "the client cookie stays")
		}
		require.Zero(t, lifeOf(t, visitor.Get(t, h, "/rotate")))
		require.Zero(t, lifeOf(t, visitor.Get(t, h, "/login?user=ada")))
		visitor.Get(t, h, "/clear")
		require.Zero(t, lifeOf(t, visitor.Get(t, h, "/rotate")), "Clear doesn't change it")
		visitor.Get(t, h, "/get")
		time.Sleep(3 * time.Hour)
		require.Zero(t, lifeOf(t, visitor.Get(t, h, "/get")), "a renewal")
		require.Equal(t, 8*hour, lifeOf(t, visitor.Get(t, h, "/keep")), "the same token for longer")
	})
}

func TestRememberMeIsASessionsOwn(t *testing.T) {
	for name, life := range map[string]bridge.CookieLife{
		"persistent": bridge.CookiePersistent, "browser session": bridge.CookieBrowserSession,
	} {
		t.Run(name, func(t *testing.T) {
			h := rememberMe(t, &bridge.Options{Cookie: life, Lifetime: 8 * time.Hour})
			for box, age := range map[string]int{"on": 8 * hour, "off": 0} {
				visitor := webclient.Pocket{}
				require.Equal(t, age, lifeOf(t, visitor.Get(t, h, "/remember?box="+box)))
				require.Equal(t, age, lifeOf(t, visitor.Get(t, h, "/rotate")), "it is stored with the session")
				require.Equal(t, age, lifeOf(t, visitor.Get(t, h, "/login?user=ada")))
			}
		})
	}
}

// The choice belongs to the session, not to the Bridge that sets the cookie.
func TestStoredSessionKeepsItsCookieLife(t *testing.T) {
	st := livestore.New()
	visitor := webclient.Pocket{}
	opts := bridge.Options{Keys: [][]byte{testkit.Key()}, Lifetime: 8 * time.Hour}
	for i, life := range []bridge.CookieLife{bridge.CookieBrowserSession, bridge.CookiePersistent} {
		opts.Cookie = life
		a := testkit.NewApp(t, st, &opts)
		h := a.Handler(a.Mux)
		if i == 0 {
			visitor.Get(t, h, "/inc")
		}
		require.Zero(t, lifeOf(t, visitor.Get(t, h, "/rotate")))
	}
}

package guarantees_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG13_RotateAndLoginKeepTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		for _, page := range []string{"/rotate", "/login?user=ann", "/clear"} {
			rep := br.Get(page)
			require.Equal(t, http.StatusOK, rep.Status, page)
			_, offered := webclient.ReadOffer(t, rep.Header)
			require.False(t, offered, "%s: the device is the same", page)
			require.Equal(t, "ann", br.OK("/user"), page)
			time.Sleep(deviceLife)
			require.Empty(t, br.OK("/user"), page)
			d.Fresh()
			require.Equal(t, "ann", br.OK("/user"), page)
		}
	})
}

func TestG13_SetByIDKeepsTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		require.NoError(t, a.SetByID(t.Context(), d.ID, map[string]any{"n": 7}, 0))
		time.Sleep(deviceLife)
		require.Empty(t, br.OK("/user"))
		d.Fresh()
		require.Equal(t, "7", br.OK("/get"))
	})
}

// The session of another user is bound anew, whether or not its values stay.
func TestG13_AnotherUserIsBoundAnew(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			app := testkit.NewApp(t, livestore.New(), &bridge.Options{
				Keys: [][]byte{testkit.Key()}, Secure: bridge.SecureAlways, DeviceBound: &bridge.DeviceBound{},
				KeepValuesAtLogin: keep,
			})
			app.SessionPage("/user", func(s *bridge.Session) (any, error) { return s.UserID(), nil })
			a := &boundApp{app, app.ServeInMemory(t)}
			br, old := a.bound(t)
			login := br.Get("/login?user=bob")
			require.Equal(t, http.StatusOK, login.Status)
			d := br.NewDevice(login.Header)
			require.Equal(t, "bob", br.OK("/user"))
			rep, _ := old.Refresh()
			require.Contains(t, rep.Body, `"continue":false`, "the old key proves nothing")
			require.Equal(t, "bob", br.OK("/user"))
			require.Equal(t, http.StatusOK, d.TryRegister().Status)
			require.Equal(t, "bob", br.OK("/user"))
			time.Sleep(deviceLife)
			require.Empty(t, br.OK("/user"))
			rep, _ = old.Refresh()
			require.Equal(t, http.StatusBadRequest, rep.Status)
			d.Fresh()
			require.Equal(t, "bob", br.OK("/user"))
		})
	}
}

func TestG13_LogoutEndsTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		require.Equal(t, "out", br.OK("/logout"))
		require.Empty(t, br.Cookie(d.CookieName), "the response removes the cookie")
		rep := d.TryRefresh("")
		require.Equal(t, http.StatusOK, rep.Status)
		require.JSONEq(t, `{"session_identifier":"`+d.ID+`","continue":false}`, rep.Body)
		require.True(t, strings.HasPrefix(rep.Header.Get("Set-Cookie"), d.CookieName+"=; "), rep.Header.Get("Set-Cookie"))
		require.Contains(t, rep.Header.Get("Set-Cookie"), "Max-Age=0")

		br, d = a.bound(t)
		_, err := a.DestroyUser(t.Context(), "ann")
		require.NoError(t, err)
		rep, _ = d.Refresh()
		require.Contains(t, rep.Body, `"continue":false`)
		require.Empty(t, br.OK("/user"))
	})
}

// A request that another site has caused comes without the bound cookie if that has expired. It
// gets no session, and nothing of the browser's is lost.
func TestG13_ARequestFromAnotherSiteEndsNothing(t *testing.T) {
	for name, header := range map[string][]string{
		"another site": {
			"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document",
		},
		"the browser's quota": {"Secure-Session-Skipped", `quota_exceeded;session_identifier="x"`},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newBoundApp(t)
			br, d := a.bound(t)
			session := br.Cookie("__Host-sid")
			time.Sleep(deviceLife)
			rep := br.Get("/guest", header...)
			require.Equal(t, "true", rep.Body, name)
			require.Empty(t, rep.Header.Values("Set-Cookie"), name)
			rep = br.Get("/missing", header...)
			require.Equal(t, "device", rep.Body, name)
			require.Equal(t, session, br.Cookie("__Host-sid"), name)
			d.Fresh()
			require.Equal(t, "ann", br.OK("/user"), name)
		})
	}
}

// A browser that has lost the key must be able to log in, with the session of a guest before that
// if the application needs one.
func TestG13_ABrowserWithoutItsKeyLogsInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, _ := a.bound(t)
		time.Sleep(deviceLife)
		require.Equal(t, "true", br.OK("/guest"), "a new session")
		require.Equal(t, "false", br.OK("/guest"), "which the browser has got")
		d := br.Register(br.Get("/login?user=ann").Header)
		require.Equal(t, "ann", br.OK("/user"))
		time.Sleep(deviceLife)
		d.Fresh()
		require.Equal(t, "ann", br.OK("/user"))
	})
}

func TestG13_ARejectionIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, _ := a.bound(t)
		rejected := testkit.Record[bridge.CredentialRejected](t, a.Bridge)
		time.Sleep(deviceLife)
		br.OK("/user")
		ev := rejected.Next()
		require.Equal(t, bridge.RejectedDevice, ev.Reason)
		require.Equal(t, "ann", ev.UserID)
	})
}

// The key is stored with the values, and must not be refused because of their size.
func TestG13_AFullSessionIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		a.SessionPage("/fill", func(s *bridge.Session) (any, error) {
			s.Set("filler", strings.Repeat("x", 64<<10-400))
			return "full", nil
		})
		br, d := a.bound(t)
		require.Equal(t, http.StatusRequestEntityTooLarge, tooMuch(t, a, br))
		require.Equal(t, "full", br.OK("/fill"))
		for range 12 {
			time.Sleep(deviceLife)
			d.Fresh()
			require.Equal(t, "ann", br.OK("/user"))
		}
	})
}

// The values of a guest leave no room for the key.
func TestG13_AFullSessionIsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		a.SessionPage("/fill", func(s *bridge.Session) (any, error) {
			s.Set("filler", strings.Repeat("x", 64<<10-20))
			return "full", nil
		})
		br := webclient.NewSecureBrowser(t, a.site)
		br.OK("/fill")
		d := br.Register(br.Get("/login?user=ann").Header)
		require.Equal(t, "ann", br.OK("/user"))
		time.Sleep(deviceLife)
		require.Empty(t, br.Another().OK("/user"), "the session is bound")
		d.Fresh()
		require.Equal(t, "ann", br.OK("/user"))
		require.Equal(t, http.StatusRequestEntityTooLarge, tooMuch(t, a, br), "the limit on values stays")
	})
}

// tooMuch tries to store more than a session may have.
func tooMuch(t *testing.T, a *boundApp, br *webclient.Browser) int {
	t.Helper()
	a.SessionPage("/overfill", func(s *bridge.Session) (any, error) {
		s.Set("filler", strings.Repeat("x", 64<<10))
		return "full", nil
	})
	return br.Get("/overfill").Status
}

func TestG13_KeysAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		next := []byte(strings.Repeat("n", 32))
		require.NoError(t, a.SetKeys([][]byte{next, testkit.Key()}))
		require.Equal(t, "ann", br.OK("/user"), "the bound cookie of the old key")
		d.Fresh()
		require.NoError(t, a.SetKeys([][]byte{next}))
		require.Equal(t, "ann", br.OK("/user"), "that of the new one")
		d.Fresh()
	})
}

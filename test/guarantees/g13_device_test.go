package guarantees_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

const deviceLife = 10 * time.Minute // the default of DeviceBound.Life

// boundApp is an application with DeviceBound, with pages that show what a request has.
type boundApp struct {
	*testkit.App
	site *webclient.Site
}

func newBoundApp(t *testing.T) *boundApp {
	t.Helper()
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{
		Keys: [][]byte{testkit.Key()}, Secure: bridge.SecureAlways, DeviceBound: &bridge.DeviceBound{},
	})
	a.Page("/missing", func(r *http.Request) (any, error) { return a.MissingReason(r), nil })
	a.SessionPage("/user", func(s *bridge.Session) (any, error) { return s.UserID(), nil })
	a.SessionPage("/guest", func(s *bridge.Session) (any, error) {
		s.Set("basket", "full")
		return s.IsNew(), nil
	})
	a.SessionPage("/clear", func(s *bridge.Session) (any, error) { s.Clear(); return "cleared", nil })
	return &boundApp{a, a.ServeInMemory(t)}
}

// bound returns a browser that has logged in, and whose session is bound.
func (a *boundApp) bound(t *testing.T) (*webclient.Browser, *webclient.Device) {
	t.Helper()
	br := webclient.NewSecureBrowser(t, a.site)
	login := br.Get("/login?user=ann")
	require.Equal(t, http.StatusOK, login.Status)
	d := br.Register(login.Header)
	require.Equal(t, "ann", br.OK("/user"), "the first request with the bound cookie")
	return br, d
}

func TestG13_AStolenCookieDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		thief := br.Another() // with all cookies of the moment

		thief.SetCookie(d.CookieName, "")
		require.Equal(t, "device", thief.OK("/missing"), "the session cookie alone")
		require.Empty(t, thief.OK("/user"))

		thief = br.Another()
		require.Equal(t, "ann", thief.OK("/user"), "both cookies, within the life of the bound one")
		time.Sleep(deviceLife)
		require.Empty(t, thief.OK("/user"))
		require.Equal(t, "device", thief.OK("/missing"))

		require.Empty(t, br.Cookie(d.CookieName), "the browser's own has expired as well")
		d.Fresh()
		require.Equal(t, "ann", br.OK("/user"))
		require.Empty(t, thief.OK("/user"), "a refresh of the owner doesn't help the thief")
	})
}

func TestG13_AStolenCookieDies_AtHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		a.Mux.Handle("/members", a.WebSocket(testkit.Converse, &bridge.ConnOptions{
			OnMissing: bridge.RefuseMissing, Heartbeat: bridge.Off,
		}))
		br, _ := a.bound(t)
		thief := br.Another()
		time.Sleep(deviceLife)
		_, res, err := thief.TryDial("/members", nil)
		require.Error(t, err)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)

		s := thief.Dial("/ws")
		require.Equal(t, `""`, s.Ask("id"), "a connection without a session")
		require.Contains(t, s.Ask("get"), bridge.ErrSessionMissing.Error())
	})
}

func TestG13_AStolenCookieDies_InCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br := webclient.NewSecureBrowser(t, a.site)
		login := br.Get("/login?user=ann")
		stolen := bridge.Credentials{Token: br.Cookie("__Host-sid")}
		_, err := a.Open(t.Context(), stolen)
		require.NoError(t, err, "the session is not bound yet")

		br.Register(login.Header)
		br.OK("/user")
		err = a.WithCredentials(t.Context(), stolen, testkit.Set("stolen", true))
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
		require.ErrorContains(t, err, "device")
		_, err = a.RotateCredentials(t.Context(), stolen)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
	})
}

func TestG13_OtherBrowsersGoOnAsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br := webclient.NewSecureBrowser(t, a.site)
		_, offered := webclient.ReadOffer(t, br.Get("/inc").Header)
		require.False(t, offered, "a guest's session isn't bound")
		_, offered = webclient.ReadOffer(t, br.Get("/login?user=ann").Header)
		require.True(t, offered)
		_, offered = webclient.ReadOffer(t, br.Get("/user").Header)
		require.False(t, offered, "a login offers it once")
		time.Sleep(3 * deviceLife)
		require.Equal(t, "ann", br.OK("/user"))
		require.Equal(t, "2", br.OK("/inc"))

		plain := testkit.NewApp(t, livestore.New(), &bridge.Options{Keys: [][]byte{testkit.Key()}})
		site := plain.ServeInMemory(t)
		_, offered = webclient.ReadOffer(t, webclient.NewBrowser(t, site).Get("/login?user=ann").Header)
		require.False(t, offered, "without Options.DeviceBound")
	})
}

func TestG13_EachWayToLogInOffersARegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		a.Page("/within", func(r *http.Request) (any, error) {
			return "in", a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login("ann") }, nil)
		})
		a.SessionPage("/failing", func(s *bridge.Session) (any, error) {
			return nil, errors.Join(s.Login("ann"), testkit.ErrApp)
		})
		a.Page("/again", func(r *http.Request) (any, error) {
			s, err := a.Session(r)
			if err != nil {
				return nil, err
			}
			s.Logout()
			if s, err = a.Session(r); err != nil {
				return nil, err
			}
			return "in", s.Login("ann")
		})
		a.SessionPage("/undone", func(s *bridge.Session) (any, error) {
			err := s.Login("ann")
			s.Logout()
			return "out", err
		})
		for page, offers := range map[string]bool{"/within": true, "/failing": true, "/again": true, "/undone": false} {
			br := webclient.NewSecureBrowser(t, a.site)
			br.OK("/inc")
			rep := br.Get(page)
			_, offered := webclient.ReadOffer(t, rep.Header)
			require.Equal(t, offers, offered, page)
			if offers {
				br.Register(rep.Header)
				require.Equal(t, "ann", br.OK("/user"), page)
			}
		}
	})
}

func TestG13_NothingIsOfferedWithoutHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{
			Keys: [][]byte{testkit.Key()}, DeviceBound: &bridge.DeviceBound{},
		})
		rep := webclient.NewBrowser(t, a.ServeInMemory(t)).Get("/login?user=ann")
		require.Equal(t, "in", rep.Body)
		_, offered := webclient.ReadOffer(t, rep.Header)
		require.False(t, offered)
	})
}

// A registration whose answer doesn't arrive must not lock the user out.
func TestG13_ALostRegistrationLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br := webclient.NewSecureBrowser(t, a.site)
		login := br.Get("/login?user=ann")
		other := br.Another() // its jar gets the answer, and is then lost
		other.Register(login.Header)
		require.Equal(t, "ann", br.OK("/user"))
		time.Sleep(2 * deviceLife)
		require.Equal(t, "ann", br.OK("/user"), "the session stays unbound")

		d := br.Register(br.Get("/login?user=ann").Header) // the next login offers it again
		require.Equal(t, "ann", br.OK("/user"))
		time.Sleep(deviceLife)
		require.Empty(t, br.OK("/user"))
		d.Fresh()
		require.Equal(t, "ann", br.OK("/user"))
	})
}

func TestG13_ARefusedRegistrationLeavesTheSessionUnbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br := webclient.NewSecureBrowser(t, a.site)
		d := br.NewDevice(br.Get("/login?user=ann").Header)
		rep := br.Post(d.Offer.Path, "Secure-Session-Response", d.Proof("another challenge", true))
		require.Equal(t, http.StatusForbidden, rep.Status)
		require.Empty(t, rep.Header.Values("Set-Cookie"))
		require.Equal(t, http.StatusBadRequest, br.Post(d.Offer.Path).Status, "no proof")
		require.Equal(t, http.StatusMethodNotAllowed, br.Get(d.Offer.Path).Status)
		time.Sleep(deviceLife)
		require.Equal(t, "ann", br.OK("/user"))
		rep = d.TryRegister()
		require.Equal(t, http.StatusForbidden, rep.Status, "the challenge is too old")
	})
}

func TestG13_ARegistrationCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br := webclient.NewSecureBrowser(t, a.site)
		login := br.Get("/login?user=ann")
		d := br.Register(login.Header)
		for _, state := range []string{"before the first bound request", "after it"} {
			rep := d.TryRegister()
			require.Equal(t, http.StatusForbidden, rep.Status, state)
			thief := br.Another().NewDevice(login.Header) // with a key of its own
			require.Equal(t, http.StatusForbidden, thief.TryRegister().Status, state)
			require.Equal(t, "ann", br.OK("/user"))
		}
		stranger := webclient.NewSecureBrowser(t, a.site).NewDevice(login.Header)
		require.Equal(t, http.StatusForbidden, stranger.TryRegister().Status, "without the session cookie")
		other := webclient.NewSecureBrowser(t, a.site)
		mine := other.NewDevice(other.Get("/login?user=bob").Header)
		mine.Offer = d.Offer
		require.Equal(t, http.StatusForbidden, mine.TryRegister().Status, "another session's challenge")
	})
}

func TestG13_ARefreshTakesTwoRequestsThenOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		for _, want := range []int{2, 1, 1} {
			time.Sleep(deviceLife)
			require.Empty(t, br.Cookie(d.CookieName))
			rep, requests := d.Refresh()
			require.Equal(t, http.StatusOK, rep.Status)
			require.Equal(t, want, requests)
			require.Equal(t, "no-store", rep.Header.Get("Cache-Control"))
			require.Equal(t, "ann", br.OK("/user"))
		}
		time.Sleep(3 * time.Hour)
		_, requests := d.Refresh()
		require.Equal(t, 2, requests, "a challenge that was kept for too long is replaced")
		require.Equal(t, "ann", br.OK("/user"))
	})
}

// A session may go unused for longer than the bound cookie lives.
func TestG13_ARefreshIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		br, d := a.bound(t)
		id := br.OK("/id")
		before, err := a.GetByID(t.Context(), id)
		require.NoError(t, err)
		time.Sleep(23 * time.Hour)
		d.Fresh()
		after, err := a.GetByID(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, before.Expires(), after.Expires())
		time.Sleep(2 * time.Hour)
		rep, _ := d.Refresh()
		require.Contains(t, rep.Body, `"continue":false`, "the session has expired")
	})
}

package guarantees_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A ticket of a request that has proved no device is no more than the session cookie of that time.
func TestG13_ATicketFromBeforeTheBindingOpensNothingAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBoundApp(t)
		a.Page("/ticket", func(r *http.Request) (any, error) { return a.Ticket(r) })
		br := webclient.NewSecureBrowser(t, a.site)
		login := br.Get("/login?user=ann")
		thief := br.Another()
		early, late := thief.OK("/ticket"), thief.OK("/ticket")

		ws, _, err := thief.WithoutJar().DialTicket("/ws", early)
		require.NoError(t, err)
		ws.Listen()
		require.NotEqual(t, `""`, ws.Ask("id"), "the session is not bound yet")
		br.Register(login.Header)
		require.Equal(t, "ann", br.OK("/user"))
		require.Equal(t, bridge.CodeReconnect, ws.ClosedEventually())

		thief.WithoutJar().RequireRefused(late)
	})
}

// A sibling host can add cookies of any name if the application's have no prefix, because of
// Options.Path. They don't hide the bound cookie, as they don't hide the others.
func TestG13_AddedCookiesDontHideTheBoundOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{
			Keys: [][]byte{testkit.Key()}, Secure: bridge.SecureAlways, Path: "/app", DeviceBound: &bridge.DeviceBound{},
		})
		a.SessionPage("/app/user", func(s *bridge.Session) (any, error) { return s.UserID(), nil })
		a.SessionPage("/app/in", func(s *bridge.Session) (any, error) { return "in", s.Login("ann") })
		br := webclient.NewSecureBrowser(t, a.ServeInMemory(t))
		d := br.Register(br.Get("/app/in").Header)
		require.Equal(t, "sid.device", d.CookieName)
		require.Equal(t, "ann", br.OK("/app/user"))
		own, page := "", *br.Base
		page.Path = "/app/user"
		for _, c := range br.Client.Jar.Cookies(&page) {
			own += "; " + c.Name + "=" + c.Value
		}
		added := strings.Repeat("; sid.device=added", 170) // a browser keeps 180 cookies of a site
		rep := br.WithoutJar().Get("/app/user", "Cookie", strings.TrimPrefix(added+own, "; "))
		require.Equal(t, "ann", rep.Body)
	})
}

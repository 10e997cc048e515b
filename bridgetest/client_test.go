package bridgetest_test

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

// everywhere runs a test outside of a synctest bubble, and inside of one.
func everywhere(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Run("network time", test)
	t.Run("fake time", func(t *testing.T) { synctest.Test(t, test) })
}

type cart struct {
	User string
	N    int
}

func look(c *bridgetest.Client) (is cart) {
	c.Get("/cart").Expect(http.StatusOK).JSON(&is)
	return is
}

func TestClientIsABrowser(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		app := shop(b)
		ada, stranger := bridgetest.NewClient(t, b, app), bridgetest.NewClient(t, b, app)
		require.Empty(t, ada.SessionID())
		require.Empty(t, ada.Cookies(), "looking for a session begins none")

		ada.PostForm("/add", nil).Expect(http.StatusOK)
		ada.PostJSON("/add", 1).Expect(http.StatusOK)
		require.Equal(t, cart{N: 2}, look(ada))
		require.Equal(t, cart{}, look(stranger))

		res := ada.PostForm("/in", url.Values{"user": {"ada"}}).Expect(http.StatusOK)
		require.JSONEq(t, `{"user":"ada","n":2}`, res.Body, "redirects are followed")
		sessions := 0
		for info, err := range b.Sessions(t.Context(), bridge.Filter{UserID: "ada"}) {
			require.NoError(t, err)
			require.Equal(t, ada.SessionID(), info.ID)
			require.Equal(t, "192.0.2.1", info.Addr)
			sessions++
		}
		require.Equal(t, 1, sessions)
		names := []string{}
		for _, cookie := range ada.Cookies() {
			names = append(names, cookie.Name)
		}
		require.ElementsMatch(t, []string{"__Host-sid", "__Host-sid.cid"}, names)
	})
}

func TestRedirectCanBeLookedAt(t *testing.T) {
	b := bridgetest.New(t, nil)
	c := bridgetest.NewClient(t, b, shop(b))
	c.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res := c.PostForm("/in", url.Values{"user": {"ada"}}).Expect(http.StatusSeeOther)
	require.Equal(t, "/cart", res.Header.Get("Location"))
	require.Equal(t, cart{User: "ada"}, look(c))
}

func TestLogInAndUpdateNeedNoPage(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		c := bridgetest.NewClient(t, b, shop(b))
		c.Update(func(s *bridge.Session) error { s.Set("n", 7); return nil })
		guest := c.SessionID()
		require.NotEmpty(t, guest)
		c.LogIn("ada")
		require.Equal(t, guest, c.SessionID())
		require.Equal(t, cart{"ada", 7}, look(c))

		c.PostForm("/out", nil).Expect(http.StatusOK)
		require.Empty(t, c.SessionID())
		require.Equal(t, cart{}, look(c))
	})
}

// The cookies of every setting reach the browser, and come back.
func TestCookieOptions(t *testing.T) {
	for name, c := range map[string]struct {
		opts bridge.Options
		url  string
	}{
		"always secure":  {bridge.Options{Secure: bridge.SecureAlways}, "https://app.test"},
		"never secure":   {bridge.Options{Secure: bridge.SecureNever, DangerouslyInsecure: true}, "https://app.test"},
		"a path":         {bridge.Options{Path: "/shop"}, "https://app.test/shop"},
		"a domain":       {bridge.Options{Domain: "example.com"}, "https://www.example.com"},
		"another scheme": {bridge.Options{Name: "id", SameSite: http.SameSiteStrictMode}, "https://app.test"},
	} {
		t.Run(name, func(t *testing.T) {
			b := bridgetest.New(t, &c.opts)
			client := bridgetest.NewClient(t, b, http.StripPrefix("/shop", shop(b)))
			if c.opts.Path == "" {
				client = bridgetest.NewClient(t, b, shop(b))
			}
			client.URL = c.url
			client.LogIn("ada")
			id := client.SessionID()
			require.NotEmpty(t, id)
			require.Equal(t, "ada", look(client).User)
			client.LogIn("ada")
			require.Equal(t, id, client.SessionID())
		})
	}
}

func TestHeaderIsSentWithRequestsAndHandshakes(t *testing.T) {
	b := bridgetest.New(t, nil)
	c := bridgetest.NewClient(t, b, shop(b))
	c.LogIn("ada")
	c.Header.Set("Origin", "https://evil.example")
	c.DialRefused("/strict", nil).Expect(http.StatusForbidden)
	c.Header.Set("Origin", c.URL)
	c.Dial("/strict", nil).Close()
	c.Header = nil
	c.DialRefused("/strict", &websocket.DialOptions{
		HTTPHeader: http.Header{"origin": {"https://evil.example"}},
	}).Expect(http.StatusForbidden)
}

func TestClientReportsWhatFails(t *testing.T) {
	for wants, test := range map[string]func(c *bridgetest.Client){
		"GET https://app.test/nowhere: the status is 404 instead of 200": func(c *bridgetest.Client) { c.Get("/nowhere").Expect(200) },
		"the body is not the expected JSON":                              func(c *bridgetest.Client) { c.Get("/nowhere").JSON(new(int)) },
		"not a user ID":                                                  func(c *bridgetest.Client) { c.LogIn("") },
		`"k"`: func(c *bridgetest.Client) {
			c.Update(func(s *bridge.Session) error { s.Set("k", func() {}); return nil })
		},
		"only by https":               func(c *bridgetest.Client) { c.URL = "http://app.test"; c.Get("/") },
		"Client.URL":                  func(c *bridgetest.Client) { c.URL = ":"; c.Cookies() },
		"dial /nowhere":               func(c *bridgetest.Client) { c.Dial("/nowhere", nil) },
		"instead of being refused":    func(c *bridgetest.Client) { c.DialRefused("/ws", nil) },
		"unsupported type: chan bool": func(c *bridgetest.Client) { c.PostJSON("/add", make(chan bool)) },
	} {
		t.Run(wants, func(t *testing.T) {
			failures, _ := fails(t, func(t testing.TB) {
				b := bridgetest.New(t, nil)
				test(bridgetest.NewClient(t, b, shop(b)))
			})
			require.Contains(t, failures, wants)
		})
	}
}

package browsertest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestAnotherSiteReplacesNoCookies: 127.0.0.1 is another site than localhost. Its links and forms bring a browser here without the cookies that
// SameSite keeps back, and whatever the pages here store, who was logged in still is.
func TestAnotherSiteReplacesNoCookies(t *testing.T) {
	neverCached(t)
	browser := startBrowser(t)
	for name, opts := range map[string]bridge.Options{
		"lax":    {SameSite: http.SameSiteLaxMode},
		"strict": {SameSite: http.SameSiteStrictMode, StrictBinding: true},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := bridge.New(livestore.New(), &opts)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
			here := httptest.NewServer(b.Handler(sitePages(b)))
			t.Cleanup(here.Close)
			ours := strings.Replace(here.URL, "127.0.0.1", "localhost", 1)
			there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				for _, page := range []string{"store", "client", "plain", "logout"} {
					fmt.Fprintf(w, `<a id="%[1]s" href="%[2]s/%[1]s">%[1]s</a> <form method="post" action="%[2]s/%[1]s"><button id="post-%[1]s">%[1]s</button></form>`, page, ours)
				}
			}))
			t.Cleanup(there.Close)

			tb := openTab(t, browser, name, ours+"/login?user=ada")
			tb.shows(t, `document.body.innerText === "ada"`)
			for _, page := range []string{"#post-store", "#post-client", "#post-plain", "#post-logout", "#store", "#client", "#plain", "#logout"} {
				if page == "#logout" && opts.SameSite == http.SameSiteLaxMode {
					continue // a link of another site brings the cookies: that is why a logout is no GET
				}
				tb.run(t, chromedp.Navigate(there.URL))
				tb.click(t, page)
				tb.arrives(t)
				tb.run(t, chromedp.Navigate(ours+"/who"))
				require.Equal(t, "ada", tb.value(t, "document.body.innerText"), page)
			}
			require.Zero(t, b.Stats().Mismatches)

			fresh := openPhone(t, tb, there.URL)
			fresh.click(t, "#store")
			fresh.arrives(t)
			fresh.run(t, chromedp.Navigate(ours+"/login?user=bob"))
			fresh.run(t, chromedp.Navigate(ours+"/who"))
			require.Equal(t, "bob", fresh.value(t, "document.body.innerText"))
		})
	}
}

// sitePages are pages that log in, say who is, store something, ask for the client, do nothing, and log out.
func sitePages(b *bridge.Bridge) *http.ServeMux {
	mux := http.NewServeMux()
	session := func(path string, do func(s *bridge.Session, r *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Session(r)
			if err == nil {
				err = do(s, r)
			}
			if err != nil {
				http.Error(w, "no", bridge.HTTPStatus(err))
				return
			}
			fmt.Fprint(w, s.UserID(), map[bool]string{true: "nobody"}[s.UserID() == ""])
		})
	}
	session("/login", func(s *bridge.Session, r *http.Request) error { return s.Login(r.FormValue("user")) })
	session("/who", func(*bridge.Session, *http.Request) error { return nil })
	session("/store", func(s *bridge.Session, _ *http.Request) error { s.Set("k", "v"); return nil })
	session("/logout", func(s *bridge.Session, _ *http.Request) error { s.Logout(); return nil })
	mux.HandleFunc("/client", func(w http.ResponseWriter, r *http.Request) {
		id, _ := bridge.ClientIDFrom(r.Context())
		fmt.Fprint(w, id)
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") })
	return mux
}

// click clicks what another site's page has, once it is there.
func (tb *tab) click(t *testing.T, selector string) {
	t.Helper()
	require.Eventually(t, func() bool {
		found, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](
			"location.hostname !== 'localhost' && document.readyState === 'complete' && (document.querySelector('"+selector+"').click(), true)"))
		return err == nil && found
	}, patience, 20*time.Millisecond, tb.name)
}

// arrives waits until the tab has loaded a page of ours. The question fails while it is on its way.
func (tb *tab) arrives(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		where, err := chromedp.Run(tb.ctx, chromedp.Evaluate[string]("location.hostname + ' ' + document.readyState"))
		return err == nil && where == "localhost complete"
	}, patience, 20*time.Millisecond, tb.name)
}

package browsertest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A browser that is closed and opened again loses the session cookie without an age, and keeps the other one.
// The pages of the two are on one server, under two names of cookies.
func TestClosedBrowserForgetsWhomItShouldNotRemember(t *testing.T) {
	mux := http.NewServeMux()
	for _, name := range []string{"forgotten", "remembered"} {
		b, err := bridge.New(livestore.New(), &bridge.Options{
			Name: name, Cookie: bridge.CookieBrowserSession, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
		mux.Handle("/"+name+"/in", b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Session(r)
			if err == nil {
				s.SetPersistent(name == "remembered")
				err = s.Login("ada")
			}
			if err != nil {
				b.WriteError(w, r, err)
				return
			}
			fmt.Fprint(w, "in")
		})))
		mux.Handle("/"+name+"/who", b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Peek(r)
			if err != nil {
				fmt.Fprint(w, bridge.MissingReasonOf(err))
				return
			}
			fmt.Fprint(w, s.UserID())
		})))
	}
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)

	profile := t.TempDir()
	visit := func(page string) (forgotten, remembered string) {
		tb := openTab(t, startBrowser(t, chromedp.UserDataDir(profile)), "a browser", site.URL+"/forgotten"+page)
		forgotten = tb.value(t, `document.body.innerText`)
		tb.run(t, chromedp.Navigate(site.URL+"/remembered"+page))
		remembered = tb.value(t, `document.body.innerText`)
		require.NoError(t, chromedp.Cancel(tb.ctx)) // closes it as a user does: it writes its profile
		return forgotten, remembered
	}
	forgotten, remembered := visit("/in")
	require.Equal(t, "in", forgotten)
	require.Equal(t, "in", remembered)
	forgotten, remembered = visit("/who")
	require.Equal(t, string(bridge.MissingNoCredential), forgotten)
	require.Equal(t, "ada", remembered)
}

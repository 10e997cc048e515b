package browsertest_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/gorillaapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/htmxapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/templapp"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The pages of example/frameworks in two tabs: both count in one session, a login goes on with it,
// and a logout in one tab ends the other's connection, which then shows that, or a page to log in.
func TestFrameworks(t *testing.T) {
	browser := startBrowser(t)
	const guest = `document.querySelector("input[name=user]") !== null`
	const user = `document.querySelector("form[action='/logout']") !== null`
	// In a new session, which either tab may have loaded twice: by its form, and by the end of its stream.
	const anew = `Number(document.querySelector("#count").textContent) < 5`
	for name, c := range map[string]struct {
		newApp  func(*bridge.Bridge) http.Handler
		pushed  bool   // a count in one tab appears in the other
		isEnded string // what the other tab shows after the logout
	}{
		"gorilla": {gorillaapp.New, false, text("state", "closed: 4500 logout")},
		"htmx":    {htmxapp.New, true, anew},
		"templ":   {templapp.New, false, anew},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := bridge.New(livestore.New(), &bridge.Options{Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			server := httptest.NewServer(http.NewCrossOriginProtection().Handler(c.newApp(b)))
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
				defer cancel()
				require.NoError(t, b.Shutdown(ctx))
				server.CloseClientConnections()
				server.Close()
			})
			connected := make(chan struct{}, 100)
			b.OnConnOpen(func(bridge.ConnOpen) { connected <- struct{}{} })

			one := openTab(t, browser, "tab one", server.URL)
			<-connected
			one.showsAtLast(t, text("count", "1"))
			two := openTab(t, one.ctx, "tab two", server.URL)
			<-connected
			two.showsAtLast(t, text("count", "2"))
			one.press(t, "#add")
			one.showsAtLast(t, text("count", "3"))
			if c.pushed {
				two.showsAtLast(t, text("count", "3"))
			}

			one.run(t, chromedp.SendKeys(chromedp.CSS("input[name=user]"), "ada"+kb.Enter))
			one.showsAtLast(t, user)
			one.showsAtLast(t, text("count", "4"))
			testkit.OpenConns(t, b, bridge.ConnFilter{UserID: "ada"}, 2) // each tab, with the new cookies
			two.press(t, "#add")
			two.showsAtLast(t, `Number(document.querySelector("#count").textContent) >= 5`)

			one.press(t, "form[action='/logout'] button")
			one.showsAtLast(t, guest)
			two.showsAtLast(t, c.isEnded)
		})
	}
}

// showsAtLast is shows for a page that another one replaces meanwhile.
func (tb *tab) showsAtLast(t *testing.T, expression string) {
	t.Helper()
	require.Eventually(t, func() bool {
		is, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && is
	}, patience, 20*time.Millisecond, "%s: %s", tb.name, expression)
}

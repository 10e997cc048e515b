package browsertest_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// TestKillBetweenTwoClicks: the process is killed with kill -9 after one click in the browser and
// started again before the next. Both tabs come back by themselves to the session that they had, in
// the demo's default store, and a logout still reaches both.
func TestKillBetweenTwoClicks(t *testing.T) {
	neverCached(t)
	browser := startBrowser(t)
	folder := pictures(t)
	binary := buildDemo(t)
	srv := startServer(t, binary, "-addr", "127.0.0.1:0")

	one := openTab(t, browser, "tab one", srv.url)
	one.shows(t, live)
	two := openTab(t, one.ctx, "tab two", srv.url)
	both := tabs{one, two}
	both.show(t, live, sockets("2"))
	two.run(t, chromedp.Clear(chromedp.CSS("#name")), chromedp.SendKeys(chromedp.CSS("#name"), "grace"+kb.Enter))
	both.show(t, text("user", "grace"), live, sockets("2"))
	one.press(t, "#httpButton")
	both.show(t, text("httpCount", "1"))
	two.press(t, "#wsButton")
	two.press(t, "#wsButton")
	both.show(t, text("wsCount", "2"), text("total", "3"))
	client, session := one.value(t, "$('clientId').title"), one.value(t, "sessionId")
	conns := []string{one.value(t, "connId"), two.value(t, "connId")}

	srv.kill(t) // the last click has just been shown: whatever wasn't stored by then is lost
	both.show(t, "!live")
	one.picture(t, folder, "killed")
	again := startServer(t, binary, "-addr", srv.addr(t))
	for i, tb := range both {
		tb.shows(t, `live && connId !== "`+conns[i]+`"`)
	}
	both.show(t, sockets("2"), text("user", "grace"), text("httpCount", "1"), text("wsCount", "2"), text("total", "3"))
	for _, tb := range both {
		require.Equal(t, session, tb.value(t, "sessionId"), tb.name)
		require.Equal(t, client, tb.value(t, "$('clientId').title"), tb.name)
	}
	one.picture(t, folder, "back-again")

	one.press(t, "#wsButton")
	both.show(t, text("wsCount", "3"))
	two.press(t, "#httpButton")
	both.show(t, text("httpCount", "2"), text("total", "5"))

	one.press(t, "#httpLogout")
	both.show(t, isOver, text("overTitle", "Logged out"), "!live")
	two.picture(t, folder, "logged-out-after-kill")

	again.kill(t)
	last := startServer(t, binary, "-addr", srv.addr(t))
	two.press(t, "#again")
	two.shows(t, live)
	two.shows(t, text("user", "nobody"))
	two.shows(t, text("total", "0"))
	require.NotEqual(t, session, two.value(t, "sessionId"), "the kill has not undone the logout")
	last.stop(t)
}

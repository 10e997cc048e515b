package browsertest_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

const (
	live   = `document.querySelector("#status").dataset.state === "live"`
	isOver = `document.querySelector("#over").open`
)

func text(id, want string) string {
	return `document.querySelector("#` + id + `").textContent === "` + want + `"`
}

// sockets is how many are listed, on all devices together.
func sockets(want string) string { return count("#devices .sockets li", want) }

func count(selector, want string) string {
	return `document.querySelectorAll("` + selector + `").length === ` + want
}

// TestDemo is one visit: two tabs of one browser, a login, a logout, a restart of the server,
// another logout.
func TestDemo(t *testing.T) {
	neverCached(t)
	browser := startBrowser(t)
	folder := pictures(t)
	binary, keys := buildDemo(t), filepath.Join(t.TempDir(), "keys")
	srv := startServer(t, binary, "-addr", "127.0.0.1:0", "-store", "live", "-keys", keys)

	one := openTab(t, browser, "tab one", srv.url)
	one.shows(t, live)
	two := openTab(t, one.ctx, "tab two", srv.url)
	both := tabs{one, two}
	same := func(t *testing.T, expression string) string {
		t.Helper()
		require.Equal(t, one.value(t, expression), two.value(t, expression))
		return one.value(t, expression)
	}
	both.show(t, live, sockets("2"), text("total", "0"))
	client, session := same(t, "$('clientId').title"), same(t, "sessionId")

	t.Log("each tab follows the other, over HTTP and WebSocket")
	for range 3 {
		one.press(t, "#httpButton")
	}
	both.show(t, text("httpCount", "3"), text("wsCount", "0"), text("total", "3"))
	for range 2 {
		two.press(t, "#wsButton")
	}
	both.show(t, text("httpCount", "3"), text("wsCount", "2"), text("total", "5"))
	one.press(t, "#wsButton")
	two.press(t, "#httpButton")
	both.show(t, text("httpCount", "4"), text("wsCount", "3"), text("total", "7"))
	one.run(t, chromedp.SendKeys(chromedp.CSS("#note"), "hello from tab one"))
	two.shows(t, `document.querySelector("#note").value === "hello from tab one"`)
	one.picture(t, folder, "desktop")

	t.Log("100 at once: none is lost")
	one.press(t, "#hundred")
	both.show(t, text("httpCount", "54"), text("wsCount", "53"), text("total", "107"))
	both.show(t, `/^in [0-9]+:[0-9]{2}, /.test(document.querySelector("#expires").textContent)`)
	require.Contains(t, same(t, `document.querySelector("#httpNode").textContent`), "process ")
	require.Equal(t, same(t, `document.querySelector("#httpNode").textContent`), same(t, `document.querySelector("#wsNode").textContent`))

	t.Log("a login: both come back by themselves, with new cookies, to the same session")
	before := []string{one.value(t, "connId"), two.value(t, "connId")}
	one.run(t, chromedp.Clear(chromedp.CSS("#name")), chromedp.SendKeys(chromedp.CSS("#name"), "grace"+kb.Enter))
	both.show(t, text("user", "grace"))
	one.shows(t, `live && connId !== "`+before[0]+`"`)
	two.shows(t, `live && connId !== "`+before[1]+`"`)
	both.show(t, sockets("2"), text("httpCount", "54"), text("total", "107"))
	require.Equal(t, session, same(t, "sessionId"))
	two.press(t, "#wsButton")
	one.press(t, "#httpButton")
	both.show(t, text("wsCount", "54"), text("httpCount", "55"), text("total", "109"))
	looks(t, one, folder)

	t.Log("a logout over WebSocket: both are told, and stay out until one is asked to start again, which wakes the other")
	two.press(t, "#wsLogout")
	both.show(t, isOver, text("overTitle", "Logged out"), "!live")
	one.picture(t, folder, "logged-out")
	one.press(t, "#again")
	both.show(t, live, "!("+isOver+")", text("user", "nobody"), text("total", "0"), sockets("2"))
	second := same(t, "sessionId")
	require.NotEqual(t, session, second)

	t.Log("a restart: the store was in memory and has forgotten the sessions, the pages come back and work")
	one.press(t, "#httpButton")
	both.show(t, text("total", "1"))
	srv.stop(t)
	both.show(t, "!live")
	one.picture(t, folder, "reconnecting")
	again := startServer(t, binary, "-addr", srv.addr(t), "-store", "live", "-keys", keys)
	both.show(t, `live && sessionId !== "`+second+`"`, text("total", "0"), sockets("2"))
	same(t, "sessionId")
	require.Equal(t, client, same(t, "$('clientId').title"), "the keys are the same: so is the browser")
	two.press(t, "#wsButton")
	one.press(t, "#httpButton")
	both.show(t, text("total", "2"))

	t.Log("a logout over HTTP")
	two.run(t, chromedp.SendKeys(chromedp.CSS("#name"), kb.Enter))
	both.show(t, text("user", "ada"), live, sockets("2"))
	one.press(t, "#httpLogout")
	both.show(t, isOver, text("overTitle", "Logged out"))

	t.Log("a session that expired is not taken for one that was logged out of")
	one.press(t, "#again")
	one.shows(t, live)
	one.value(t, `ended(4501)`)
	one.shows(t, isOver)
	one.shows(t, text("overTitle", "Session expired"))
	again.stop(t)
}

// looks takes pictures of the page in all its forms, and checks that it fits into each.
func looks(t *testing.T, one *tab, folder string) {
	t.Helper()
	for _, form := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"desktop-light", "light", 1280, 900},
		{"desktop-dark", "dark", 1280, 900},
		{"mobile-dark", "dark", 390, 844},
		{"mobile-light", "light", 390, 844},
		{"small", "light", 320, 640},
	} {
		one.emulate(t, form.width, form.height, form.scheme)
		one.shows(t, fmt.Sprintf(`document.documentElement.scrollWidth <= %d`, form.width))
		one.picture(t, folder, form.name)
		if form.width < 500 {
			one.value(t, `scrollTo(0, document.body.scrollHeight)`)
			one.picture(t, folder, form.name+"-bottom")
		}
	}
	one.emulate(t, 1280, 900, "light")
}

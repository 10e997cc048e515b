package browsertest_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

const phone = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36"

// openPhone opens the page in another browser: one with cookies of its own, which says that it is a phone's.
func openPhone(t *testing.T, laptop *tab, url string) *tab {
	t.Helper()
	tb := openTab(t, laptop.ctx, "phone", "about:blank", chromedp.WithNewBrowserContext())
	_, err := chromedp.Call(tb.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: phone})
	require.NoError(t, err)
	tb.emulate(t, 390, 844, "light")
	tb.run(t, chromedp.Navigate(url))
	return tb
}

// logIn logs ada in: her name is in the field.
func (tb *tab) logIn(t *testing.T) {
	t.Helper()
	tb.shows(t, live)
	tb.run(t, chromedp.SendKeys(chromedp.CSS("#name"), kb.Enter))
	tb.shows(t, text("user", "ada"))
	tb.shows(t, live)
}

// device is what the page shows of the nth device.
func device(nth int, want string) string {
	return fmt.Sprintf(`document.querySelector("#devices > li:nth-child(%d)")?.innerText.includes(%q)`, nth, want)
}

// TestDevices is a user with two browsers: each lists both, tells the other something, closes its sockets and signs it out.
func TestDevices(t *testing.T) {
	neverCached(t)
	browser := startBrowser(t)
	folder := pictures(t)
	srv := startServer(t, buildDemo(t), "-addr", "127.0.0.1:0", "-store", "live")
	laptop := openTab(t, browser, "laptop", srv.url)
	mobile := openPhone(t, laptop, srv.url)
	both := tabs{laptop, mobile}
	devices := func(want string) string { return count("#devices > li", want) }

	t.Log("both browsers list both, each itself first")
	laptop.shows(t, devices("1"))
	laptop.shows(t, `!document.querySelector("#mine").checkVisibility()`) // nobody is logged in
	laptop.logIn(t)
	mobile.logIn(t)
	both.show(t, devices("2"), sockets("2"), device(1, "this device"), device(1, "this tab"), "!"+device(2, "this"))
	laptop.shows(t, device(1, "Chrome on Linux"))
	laptop.shows(t, device(2, "Chrome on Android"))
	mobile.shows(t, device(1, "Chrome on Android"))
	mobile.shows(t, device(2, "Chrome on Linux"))
	require.NotEqual(t, laptop.value(t, "sessionId"), mobile.value(t, "sessionId"))
	require.NotEqual(t, laptop.value(t, "$('clientId').title"), mobile.value(t, "$('clientId').title"))
	mobile.press(t, "#wsButton")
	laptop.shows(t, device(2, "3 writes")) // the beginning, the login and this one

	t.Log("a notification from one is shown on both, as the text that it is")
	laptop.run(t, chromedp.SendKeys(chromedp.CSS("#text"), "<b>Dinner</b> is ready"+kb.Enter))
	both.show(t, `document.querySelector("#toasts li")?.innerText.startsWith("<b>Dinner</b> is ready")`,
		`document.querySelector("#toasts span").textContent === "from Chrome on Linux"`)
	laptop.shows(t, `document.querySelector("#text").value === ""`)
	t.Log("what is sent while the plug is pulled arrives later")
	laptop.press(t, "#plug")
	laptop.shows(t, `!live && client.state !== "open"`)
	mobile.shows(t, device(2, "0 sockets"))
	mobile.run(t, chromedp.SendKeys(chromedp.CSS("#text"), "Come down"+kb.Enter))
	mobile.shows(t, `document.querySelector("#text").value === ""`)
	laptop.press(t, "#plug")
	laptop.shows(t, live)
	laptop.shows(t, `document.querySelector("#toasts").innerText.includes("Come down")`)
	laptop.picture(t, folder, "devices-notified")
	mobile.picture(t, folder, "devices-notified-phone")
	fits(t, laptop, folder)

	t.Log("a second tab is another socket of the same device, which the other can close")
	second := openTab(t, laptop.ctx, "second tab", srv.url)
	tabs{laptop, mobile, second}.show(t, sockets("3"), devices("2"))
	laptop.shows(t, device(1, "2 sockets"))
	mobile.shows(t, device(2, "2 sockets"))
	mobile.press(t, "#devices > li:nth-child(2) .sockets li:nth-child(2) button") // the newer one
	second.shows(t, isOver)
	second.shows(t, text("overTitle", "Socket closed"))
	second.picture(t, folder, "devices-socket-closed")
	both.show(t, sockets("2"), devices("2"), live)
	second.press(t, "#again")
	second.shows(t, `live && user === "ada"`)
	both.show(t, sockets("3"))

	t.Log("signed out by the other, the phone says so and stays out")
	laptop.press(t, "#devices > li:nth-child(2) .device button")
	mobile.shows(t, isOver)
	mobile.shows(t, text("overText", "You were signed out on another device."))
	mobile.shows(t, "!live")
	mobile.picture(t, folder, "devices-signed-out")
	tabs{laptop, second}.show(t, devices("1"), sockets("2"), `document.querySelector("#signOutOthers").disabled`, live)
	mobile.value(t, `document.dispatchEvent(new Event("visibilitychange"))`) // what else brings a page back
	mobile.value(t, `dispatchEvent(new Event("online"))`)
	mobile.shows(t, `!live && document.querySelector("#over").open`)
	mobile.press(t, "#again")
	mobile.shows(t, live)
	mobile.shows(t, text("user", "nobody"))

	t.Log("it logs in again, and signs out the laptop with both of its tabs")
	mobile.logIn(t)
	tabs{laptop, second, mobile}.show(t, devices("2"), sockets("3"))
	mobile.press(t, "#signOutOthers")
	tabs{laptop, second}.show(t, isOver, text("overText", "You were signed out on another device."), "!live")
	laptop.picture(t, folder, "devices-others")
	mobile.shows(t, devices("1"))
	mobile.shows(t, live)

	t.Log("signing out everywhere asks for a login if the last one was too long ago, which is played here")
	laptop.press(t, "#again")
	second.shows(t, live) // it wakes by itself
	laptop.logIn(t)
	tabs{laptop, second, mobile}.show(t, devices("2"), live)
	laptop.value(t, `fetch = (real => async (path, init) => {
		if (!path.endsWith("everywhere")) return real(path, init);
		fetch = real;
		return new Response('{"ok":false,"error":"log in once more"}', {status: 401});
	})(fetch)`)
	laptop.press(t, "#signOutEverywhere")
	laptop.shows(t, text("error", "log in once more"))
	laptop.shows(t, `document.activeElement === document.querySelector("#name") && document.activeElement.value === "ada"`)
	laptop.picture(t, folder, "devices-log-in-once-more")
	conns := [2]string{laptop.value(t, "connId"), second.value(t, "connId")}
	laptop.logIn(t)
	for i, tb := range (tabs{laptop, second}) { // a tab that is about to come back gets a new session instead of the logout
		tb.shows(t, `live && connId !== "`+conns[i]+`"`)
	}
	laptop.shows(t, `!document.querySelector("#login").checkVisibility()`)

	t.Log("and ends both")
	tabs{laptop, second, mobile}.show(t, devices("2"), live)
	laptop.press(t, "#signOutEverywhere")
	tabs{laptop, second, mobile}.show(t, isOver, "!live")
	laptop.shows(t, text("overTitle", "Logged out")) // it has done it itself
	mobile.shows(t, text("overText", "You were signed out on another device."))
	srv.stop(t)
}

// fits takes pictures of the list of devices in all the page's forms, and checks that it fits into each.
func fits(t *testing.T, tb *tab, folder string) {
	t.Helper()
	for _, form := range []struct {
		name, scheme  string
		width, height int64
	}{
		{"devices-desktop-dark", "dark", 1280, 1100},
		{"devices-desktop-light", "light", 1280, 1100},
		{"devices-tablet", "light", 800, 1100},
		{"devices-mobile-dark", "dark", 390, 844},
		{"devices-small", "light", 320, 640},
	} {
		tb.emulate(t, form.width, form.height, form.scheme)
		tb.shows(t, fmt.Sprintf(`document.documentElement.scrollWidth <= %d`, form.width))
		if form.width < 500 {
			tb.value(t, `document.querySelector("#my").scrollIntoView()`)
		}
		tb.picture(t, folder, form.name)
	}
	tb.emulate(t, 1280, 900, "light")
}

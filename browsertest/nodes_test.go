package browsertest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
)

// TestTwoProcesses is a user at two processes on one Redis: in two tabs of one browser, one at each, and on a phone. All show the same, live, and whoever is signed out at one
// process is out at the other.
func TestTwoProcesses(t *testing.T) {
	neverCached(t)
	browser := startBrowser(t)
	folder := pictures(t)
	redis, binary := redistest.Start(t), buildDemo(t)
	here := startServer(t, binary, "-addr", "127.0.0.1:0", "-store", redis.URL())
	there := startServer(t, binary, "-addr", "127.0.0.1:0", "-store", redis.URL())

	one := openTab(t, browser, "tab here", here.url)
	one.logIn(t)
	two := openTab(t, one.ctx, "tab there", there.url)
	both := tabs{one, two}
	both.show(t, live, text("user", "ada"), sockets("2"))
	require.Equal(t, one.value(t, "sessionId"), two.value(t, "sessionId"))
	one.press(t, "#httpButton")
	both.show(t, text("httpCount", "1"))
	two.press(t, "#wsButton")
	both.show(t, text("wsCount", "1"), text("total", "2"))

	phone := openPhone(t, one, there.url)
	phone.logIn(t)
	tabs{one, two, phone}.show(t, count("#devices > li", "2"), sockets("3"))
	one.picture(t, folder, "nodes-here")
	two.picture(t, folder, "nodes-there")

	phone.press(t, "#signOutOthers")
	both.show(t, isOver, text("overText", "You were signed out on another device."), "!live")
	one.picture(t, folder, "nodes-signed-out")
	phone.shows(t, count("#devices > li", "1"))

	one.press(t, "#again")
	one.logIn(t)
	two.press(t, "#again")
	both.show(t, live, text("user", "ada"), text("total", "0"), count("#devices > li", "2"))
	one.press(t, "#httpLogout")
	both.show(t, isOver, text("overTitle", "Logged out"), "!live")
	there.stop(t)
	here.stop(t)
}

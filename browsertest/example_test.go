package browsertest_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// TestExample is a visit to the example: two tabs, a login, a restart, a logout in one and a new
// start in the other.
func TestExample(t *testing.T) {
	neverCached(t)
	binary, err := build("./example")
	require.NoError(t, err)
	browser := startBrowser(t)
	db := t.TempDir() + "/example.db"
	srv := startServer(t, binary, "-addr", "127.0.0.1:0", "-db", db)
	folder := pictures(t)

	one := openTab(t, browser, "tab one", srv.url)
	one.shows(t, text("status", "Live"))
	two := openTab(t, one.ctx, "tab two", srv.url)
	both := tabs{one, two}
	both.show(t, text("status", "Live"), text("count", "0"))
	one.press(t, "#http")
	both.show(t, text("count", "1"))
	two.press(t, "#ws")
	both.show(t, text("count", "2"))
	one.run(t, chromedp.Clear(chromedp.CSS("#name")), chromedp.SendKeys(chromedp.CSS("#name"), "grace"+kb.Enter))
	both.show(t, text("user", "grace"), text("status", "Live"))
	one.picture(t, folder, "small-example")

	srv.stop(t)
	both.show(t, text("status", "Reconnecting…"))
	srv = startServer(t, binary, "-addr", srv.addr(t), "-db", db)
	both.show(t, text("status", "Live"), text("user", "grace"), text("count", "2"))
	two.press(t, "#ws")
	both.show(t, text("count", "3"))

	two.press(t, "#wsLogout")
	both.show(t, text("status", "Logged out"), text("count", "0"))
	one.press(t, "#again")
	both.show(t, text("status", "Live"), text("user", ""))
	two.press(t, "#http")
	both.show(t, text("count", "1"))
	srv.stop(t)
}

package browsertest_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

const (
	detailOpen  = `document.querySelector("#detail").open`
	confirmOpen = `document.querySelector("#confirm").open`
	toldOf      = `document.querySelector("#toast").textContent === %q`
)

// rowsOf holds if so many rows of a table of the dashboard have the text.
func rowsOf(table, user, want string) string {
	word := quoted(`(^|\W)` + regexp.QuoteMeta(user) + `(\W|$)`) // IDs have its letters by chance
	return fmt.Sprintf(`[...document.querySelectorAll("#%s tbody tr")].filter((r) => new RegExp(%s).test(r.innerText)).length === %s`, table, word, want)
}

// tile is what the overview shows under the name.
func tile(name, want string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#tiles div")].find((d) => d.firstChild.textContent === %q)?.lastChild.textContent === %q`, name, want)
}

// view opens a view of the dashboard.
func (tb *tab) view(t *testing.T, name string) {
	t.Helper()
	tb.press(t, `nav a[href='#`+name+`']`)
	tb.shows(t, `document.querySelector("#`+name+`").checkVisibility()`)
}

// fill replaces what is in the field, and submits it.
func (tb *tab) fill(t *testing.T, field, text string) {
	t.Helper()
	tb.press(t, field)
	tb.value(t, `document.querySelector("`+field+`").select()`)
	tb.run(t, chromedp.KeyEvent(text+kb.Enter))
}

// key presses a key where the focus is.
func (tb *tab) key(t *testing.T, key string) {
	t.Helper()
	tb.run(t, chromedp.KeyEvent(key))
}

// tabTo presses Tab until the element has the focus, and checks that the focus is visible at each
// stop.
func (tb *tab) tabTo(t *testing.T, selector string) {
	t.Helper()
	for range 60 {
		tb.key(t, kb.Tab)
		require.Equal(t, "", tb.value(t, `(() => {
			const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
			if (e === document.body) return "";
			if (!e.matches(":focus-visible") || s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) return "no outline: " + e.outerHTML.slice(0, 200);
			if (box.bottom < 1 || box.top > innerHeight - 1 || box.right < 1 || box.left > innerWidth - 1) return "off the screen: " + e.outerHTML.slice(0, 200);
			return "";
		})()`), selector)
		if tb.value(t, `!!document.activeElement.matches(`+"`"+selector+"`"+`)`) == "true" {
			return
		}
	}
	require.FailNow(t, "the Tab key doesn't reach "+selector)
}

// logInAs logs a user in to the demo.
func (tb *tab) logInAs(t *testing.T, user string) {
	t.Helper()
	tb.shows(t, live)
	tb.fill(t, "#name", user)
	tb.shows(t, text("user", user))
	tb.shows(t, live)
}

// openDesk starts the demo with the users logged in, each in a browser of their own, and the
// dashboard in another.
func openDesk(t *testing.T, users ...string) (desk *tab, visitors []*tab) {
	t.Helper()
	srv := startServer(t, buildDemo(t), "-addr", "127.0.0.1:0", "-store", "live", "-admin", "127.0.0.1:0")
	browser := startBrowser(t)
	in := browser
	var opts []chromedp.ContextOption
	for _, user := range users {
		tb := openTab(t, in, user, srv.url, opts...)
		tb.logInAs(t, user)
		visitors = append(visitors, tb)
		in, opts = tb.ctx, []chromedp.ContextOption{chromedp.WithNewBrowserContext()}
	}
	desk = openTab(t, in, "dashboard", srv.desk, opts...)
	desk.shows(t, `document.querySelector("#live").classList.contains("on")`)
	return desk, visitors
}

// TestDashboardSignsOutOneOfTwo is an operator's visit: two users are logged in, one of them is signed
// out, whose tab is told at once, while the other's goes on.
func TestDashboardSignsOutOneOfTwo(t *testing.T) {
	neverCached(t)
	desk, visitors := openDesk(t, "ada", "grace")
	ada, grace := visitors[0], visitors[1]

	t.Log("both are in the numbers, the sessions, the connections and the events")
	desk.shows(t, tile("Active users", "2"))
	desk.shows(t, tile("Connections here", "2"))
	desk.shows(t, tile("Health", "good"))
	desk.shows(t, count("#charts figure .u-legend", "6"))
	for _, view := range []string{"sessions", "connections"} {
		desk.view(t, view)
		desk.shows(t, rowsOf(view+"-table", "ada", "1"))
		desk.shows(t, rowsOf(view+"-table", "grace", "1"))
	}
	desk.view(t, "events")
	desk.shows(t, `[...document.querySelectorAll("#events-table tbody tr")].some((r) => r.innerText.includes("ada") && r.innerText.includes("login"))`)

	t.Log("a search by user, and the details")
	desk.view(t, "sessions")
	desk.fill(t, "#query", "ada")
	desk.shows(t, rowsOf("sessions-table", "grace", "0"))
	id := ada.value(t, "sessionId")
	desk.press(t, `#sessions-table button[aria-label^='Details']`)
	for _, want := range []string{id, "ada", "login", "1 connection", "127.0.0.1"} {
		desk.shows(t, fmt.Sprintf(`document.querySelector("#detail").innerText.includes(%q)`, want))
	}
	ada.press(t, "#httpButton")
	desk.shows(t, `document.querySelector("#detail-history tbody tr").innerText.includes("httpCount")`) // as it happens
	desk.press(t, "#detail-close")

	t.Log("a search by session, which shows its values; and by client")
	desk.fill(t, "#query", id)
	desk.shows(t, detailOpen+` && document.querySelector("#detail-values").innerText.includes('"httpCount": 1')`)
	desk.press(t, "#detail-close")
	desk.fill(t, "#query", ada.value(t, "$('clientId').title"))
	desk.shows(t, rowsOf("sessions-table", "ada", "1")+` && document.querySelector("#sessions-note").textContent.includes("client")`)

	t.Log("Cancel changes nothing")
	desk.fill(t, "#query", "ada")
	desk.shows(t, `document.querySelector("#sessions-note").textContent.includes("user ada")`)
	desk.press(t, `#sessions-table button[aria-label^='Details']`)
	desk.shows(t, detailOpen+` && document.querySelector("#detail-history tbody tr") !== null`) // all that moves the buttons
	desk.press(t, "#detail-destroy")
	desk.press(t, "#confirm button[value=no]")
	desk.shows(t, "!"+confirmOpen+"&&"+detailOpen)
	ada.press(t, "#wsButton")
	tabs{ada}.show(t, text("wsCount", "1"), live)

	t.Log("ada is signed out")
	desk.press(t, "#detail-destroy")
	desk.press(t, "#confirm-yes")
	desk.shows(t, fmt.Sprintf(toldOf, "The session has ended."))
	tabs{ada}.show(t, isOver, text("overTitle", "Signed out"), "!live")
	desk.shows(t, "!"+detailOpen)
	desk.shows(t, rowsOf("sessions-table", "ada", "0"))
	grace.press(t, "#wsButton")
	tabs{grace}.show(t, text("wsCount", "1"), live, "!("+isOver+")")
	desk.press(t, "#all")
	desk.shows(t, rowsOf("sessions-table", "grace", "1"))

	t.Log("the events tell of it, and can be filtered")
	desk.view(t, "events")
	events := func(word, want string) string { return rowsOf("events-table", word, want) }
	desk.shows(t, events("session.destroy", "1"))
	desk.shows(t, events("code 4500", "1"))
	desk.press(t, "label:has([id='type-session.destroy'])")
	desk.shows(t, events("session.destroy", "0")+"&&"+events("code 4500", "1"))
	desk.fill(t, "#event-query", "grace") // as it is typed
	desk.shows(t, events("ada", "0")+"&& !("+events("grace", "0")+")")
	desk.press(t, "#pause")
	before := desk.value(t, `document.querySelector("#events-table").innerText`)
	grace.press(t, "#wsButton")
	tabs{grace}.show(t, text("wsCount", "2"))
	desk.shows(t, `document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
	require.Equal(t, before, desk.value(t, `document.querySelector("#events-table").innerText`))
	desk.press(t, "#pause")
	desk.shows(t, `document.querySelector("#events-table").innerText !== `+quoted(before))

	t.Log("everyone is signed out")
	desk.view(t, "overview")
	desk.press(t, "#destroy-all")
	desk.press(t, "#confirm-yes")
	tabs{grace}.show(t, isOver, "!live")
	desk.shows(t, fmt.Sprintf(toldOf, "1 session ended."))
	desk.shows(t, `/^revocation, median\W*\d/.test([...document.querySelectorAll("#charts .u-series")].map((s) => s.innerText).find((s) => s.startsWith("revocation, median")))`)
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

// TestDashboardByKeyboard: an operator without a mouse finds a user's session and signs it out.
func TestDashboardByKeyboard(t *testing.T) {
	neverCached(t)
	desk, visitors := openDesk(t, "ada", "grace")
	ada, grace := visitors[0], visitors[1]

	desk.tabTo(t, "a.skip")
	desk.tabTo(t, "nav a[href='#sessions']")
	desk.key(t, kb.Enter)
	desk.shows(t, rowsOf("sessions-table", "ada", "1"))
	desk.tabTo(t, "#query")
	desk.run(t, chromedp.KeyEvent("ada"+kb.Enter))
	desk.shows(t, rowsOf("sessions-table", "grace", "0")+"&&"+rowsOf("sessions-table", "ada", "1"))
	desk.tabTo(t, "#sessions-table [aria-label^='Details']")
	desk.key(t, kb.Enter)
	desk.shows(t, detailOpen)
	desk.key(t, kb.Escape)
	desk.shows(t, "!"+detailOpen+`&& document.activeElement.matches("#sessions-table [aria-label^='Details']")`)
	desk.key(t, kb.Enter)
	desk.shows(t, detailOpen)

	desk.tabTo(t, "#detail-destroy")
	desk.key(t, kb.Enter)
	desk.shows(t, confirmOpen+`&& document.activeElement.value === "no"`)
	desk.key(t, kb.Escape)
	desk.shows(t, "!"+confirmOpen+"&&"+detailOpen+`&& document.activeElement.id === "detail-destroy"`)
	desk.key(t, kb.Enter)
	desk.shows(t, confirmOpen)
	desk.key(t, kb.Enter) // of Cancel
	desk.shows(t, "!"+confirmOpen+"&&"+detailOpen)
	tabs{ada, grace}.show(t, live)

	t.Log("a question that is asked right after the last one was answered has its own answer")
	desk.key(t, kb.Enter)
	desk.shows(t, confirmOpen)
	desk.value(t, `(document.querySelector("#confirm button[value=no]").click(), document.querySelector("#detail-destroy").click())`)
	desk.shows(t, confirmOpen)
	desk.tabTo(t, "#confirm-yes")
	desk.key(t, kb.Enter)
	tabs{ada}.show(t, isOver)
	desk.shows(t, "!"+detailOpen+`&& document.activeElement.id === "main"`)
	desk.shows(t, rowsOf("sessions-table", "ada", "0"))
	tabs{grace}.show(t, live)
}

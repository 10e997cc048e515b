package browsertest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

var deskForms = []struct {
	name, scheme  string
	width, height int64
}{
	{"light", "light", 1280, 900},
	{"dark", "dark", 1280, 900},
	{"phone-light", "light", 390, 844},
	{"phone-dark", "dark", 390, 844},
}

// TestDashboardFitsEveryScreenAndReader: each view and dialog, in both colour schemes, wide and on a
// phone, has no horizontal scrolling and nothing that axe-core calls serious.
func TestDashboardFitsEveryScreenAndReader(t *testing.T) {
	neverCached(t)
	folder := pictures(t)
	desk, visitors := openDesk(t, "ada", "a.rather.long.user.name@a-rather-long-department.example.com")
	visitors[0].press(t, "#httpButton")
	visitors[0].press(t, "#httpButton")
	desk.shows(t, `[...document.querySelectorAll("#tiles dd")].some((d) => d.textContent.endsWith("ms"))`) // the charts have values
	look := func(t *testing.T, form, state string, width int64) {
		t.Helper()
		desk.shows(t, fmt.Sprintf(`document.documentElement.scrollWidth <= %d`, width))
		desk.shows(t, `[...document.querySelectorAll("dialog[open]")].every((d) => d.scrollWidth <= d.clientWidth)`)
		desk.accessible(t, state)
		desk.picture(t, folder, "dashboard-"+form+"-"+state)
	}
	for _, form := range deskForms {
		t.Run(form.name, func(t *testing.T) {
			desk.emulate(t, form.width, form.height, form.scheme)
			if desk.value(t, `document.documentElement.dataset.theme`) != form.scheme { // the page has a button for it
				desk.press(t, "#theme")
			}
			for _, view := range []string{"overview", "sessions", "connections", "events"} {
				desk.view(t, view)
				if view == "overview" {
					desk.shows(t, rowsOf("nodes", "this one", "1")+"&&"+rowsOf("nodes", "good", "1"))
				} else {
					desk.shows(t, rowsOf(view+"-table", "ada", "1")+"||"+quoted(view)+` === "events"`)
				}
				look(t, form.name, view, form.width)
				if form.width < 500 {
					desk.value(t, `scrollTo({ top: document.body.scrollHeight, behavior: "instant" })`)
					desk.picture(t, folder, "dashboard-"+form.name+"-"+view+"-bottom")
				}
			}
			desk.view(t, "sessions")
			desk.fill(t, "#query", "ada")
			desk.shows(t, rowsOf("sessions-table", "ada", "1")+"&& document.querySelector('#sessions-actions button')")
			look(t, form.name, "search", form.width)
			desk.press(t, `#sessions-table button[aria-label^='Details']`)
			desk.shows(t, `document.querySelector("#detail-history table") && document.querySelector("#detail-conns table")`)
			look(t, form.name, "details", form.width)
			desk.value(t, `document.querySelector("#detail").scrollTo({ top: 1e6, behavior: "instant" })`)
			desk.picture(t, folder, "dashboard-"+form.name+"-details-bottom")
			desk.press(t, "#detail-user")
			look(t, form.name, "confirm", form.width)
			desk.press(t, "#confirm button[value=no]")
			desk.press(t, "#detail-close")
			desk.shows(t, "!"+detailOpen)
		})
	}
}

// TestDashboardAsksForAKey, which is nowhere but in the page's memory.
func TestDashboardAsksForAKey(t *testing.T) {
	b, err := bridge.New(livestore.New(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
	const secret = "operator-abcdefghijklmnopqrstuvwxyz"
	h, err := admin.Handler(b, &admin.Options{
		Keys: []admin.Key{{Name: "operator", Secret: secret, Scope: admin.ScopeWrite}}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	site := httptest.NewServer(h)
	t.Cleanup(site.Close)
	t.Cleanup(site.CloseClientConnections)
	folder := pictures(t)
	desk := openTab(t, startBrowser(t), "dashboard", site.URL+"/dashboard/")
	for _, form := range deskForms {
		desk.emulate(t, form.width, form.height, form.scheme)
		desk.run(t, chromedp.Reload())
		desk.shows(t, `document.activeElement.id === "key"`)
		desk.fill(t, "#key", "wrong-abcdefghijklmnopqrstuvwxyz")
		desk.shows(t, `document.querySelector("#login-error").textContent.includes("doesn't accept")`)
		desk.shows(t, fmt.Sprintf(`document.documentElement.scrollWidth <= %d`, form.width))
		desk.accessible(t, "login")
		desk.picture(t, folder, "dashboard-"+form.name+"-login")
	}
	desk.fill(t, "#key", secret)
	desk.shows(t, `document.querySelector("#overview").checkVisibility() && document.querySelector("#live").classList.contains("on")`)
	require.Equal(t, "0 0  true", desk.value(t, `[localStorage.length, sessionStorage.length, document.cookie, !location.href.includes("`+secret+`")].join(" ")`))
	desk.press(t, "#leave")
	desk.shows(t, `document.querySelector("#login").checkVisibility() && document.querySelector("#key").value === ""`)
}

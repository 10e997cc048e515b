package browsertest_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testsite"
)

// page is a page in any browser.
type page interface {
	shows(t *testing.T, expression string)        // waits until the expression is true
	value(t *testing.T, expression string) string // of an expression
	leave(t *testing.T)                           // closes it
}

// chromium is a Chromium. Its tabs share their cookies.
type chromium struct{ ctx context.Context }

func (c *chromium) open(t *testing.T, url string) page {
	t.Helper()
	return openTab(t, c.ctx, url, url)
}

func (c *chromium) caches() bool { return true }

func (tb *tab) leave(t *testing.T) {
	t.Helper()
	require.NoError(t, chromedp.Cancel(tb.ctx))
}

// visitor opens pages of a site in one browser.
type visitor struct {
	site *testsite.Site
	tabs interface {
		open(t *testing.T, url string) page
		caches() bool // whether it keeps a page that had a connection in its back/forward cache
	}
}

// open opens the page of the client with options.
func (v *visitor) open(t *testing.T, options ...string) page {
	t.Helper()
	query := url.Values{}
	for i := 0; i < len(options); i += 2 {
		query.Set(options[i], options[i+1])
	}
	return v.tabs.open(t, v.site.URL+"/?"+query.Encode())
}

// happened waits for an event, and forgets it with those before.
func happened(t *testing.T, p page, event string) {
	t.Helper()
	p.shows(t, fmt.Sprintf("events.includes(%q)", event))
	p.value(t, fmt.Sprintf("events.splice(0, events.indexOf(%q) + 1)", event))
}

// asks sends a request and waits for its answer.
func asks(t *testing.T, p page, request, answer string) {
	t.Helper()
	p.value(t, fmt.Sprintf("(window.got = undefined, client.request(%s).then(v => window.got = v), 0)", request))
	p.shows(t, "got === "+answer)
}

func (v *visitor) conns(t *testing.T, want int) {
	t.Helper()
	require.Equal(t, want, v.site.Bridge().Stats().Conns)
}

// clientTests are what the client does in any browser, each with a site of its own.
var clientTests = []struct {
	name string
	run  func(t *testing.T, v *visitor)
}{
	{"messages and requests", func(t *testing.T, v *visitor) {
		p := v.open(t)
		happened(t, p, "open")
		asks(t, p, `{do: "add", n: 3}`, "3")
		asks(t, p, `{do: "add", n: 4}`, "7")
		p.value(t, `client.send("hello")`)
		happened(t, p, "message echo hello")
		require.Empty(t, p.value(t, "document.cookie"), "scripts see no credential")
		require.Equal(t, "0 0", p.value(t, `localStorage.length + " " + sessionStorage.length`))
	}},
	{"restart and cut", func(t *testing.T, v *visitor) {
		p := v.open(t)
		p.value(t, "window.here = 1")
		happened(t, p, "open")
		v.site.Stop(t)
		happened(t, p, "offline 1012")
		p.value(t, `client.send("meanwhile")`)
		v.site.Resume(t)
		happened(t, p, "online")
		happened(t, p, "message echo meanwhile")
		v.site.Cut()
		happened(t, p, "offline 1006")
		v.site.Heal(t)
		happened(t, p, "online")
		asks(t, p, `{do: "add", n: 1}`, "1")
		require.Equal(t, "1", p.value(t, "here"), "it was never reloaded")
	}},
	{"login and logout in another tab", func(t *testing.T, v *visitor) {
		one := v.open(t)
		happened(t, one, "open")
		two := v.open(t)
		happened(t, two, "open")
		one.value(t, `(post("/login", {user: "ada"}), 0)`)
		for _, p := range []page{one, two} {
			happened(t, p, "session")
			asks(t, p, `{do: "user"}`, `"ada"`)
		}
		two.value(t, `(post("/logout"), 0)`)
		for _, p := range []page{one, two} {
			happened(t, p, "logout 4500")
			p.shows(t, `client.state === "out"`)
		}
		two.value(t, `(post("/login", {user: "grace"}).then(() => client.reconnect()), 0)`)
		for _, p := range []page{two, one} {
			happened(t, p, "session")
			asks(t, p, `{do: "user"}`, `"grace"`)
		}
	}},
	{"expiry", func(t *testing.T, v *visitor) {
		p := v.open(t)
		happened(t, p, "open")
		p.value(t, `(client.request({do: "expire"}), 0)`)
		happened(t, p, "logout 4501")
	}},
	{"tickets", func(t *testing.T, v *visitor) {
		p := v.open(t, "ticket", `"/ticket"`)
		happened(t, p, "open")
		asks(t, p, `{do: "add", n: 1}`, "1")
	}},
	{"one connection for all tabs", func(t *testing.T, v *visitor) {
		var pages []page
		for range 3 {
			p := v.open(t, "share", "true")
			happened(t, p, "open")
			pages = append(pages, p)
		}
		v.conns(t, 1)
		for i, p := range pages {
			asks(t, p, `{do: "add", n: 1}`, fmt.Sprint(i+1))
		}
		_, err := v.site.Bridge().Notify(t.Context(), bridge.To{All: true}, []byte("all"))
		require.NoError(t, err)
		for _, p := range pages {
			happened(t, p, "message all")
		}
		pages[0].leave(t)
		for _, p := range pages[1:] {
			happened(t, p, "open")
			asks(t, p, `{do: "add", n: 0}`, "3")
		}
		v.conns(t, 1)
		pages[1].value(t, `(post("/logout"), 0)`)
		for _, p := range pages[1:] {
			happened(t, p, "logout 4500")
		}
	}},
	{"kept messages over a loss of the server", func(t *testing.T, v *visitor) {
		one := v.open(t, "path", "/kept", "share", "true")
		happened(t, one, "ready")
		two := v.open(t, "path", "/kept", "share", "true")
		happened(t, two, "ready")
		v.site.Kept.Publish("1")
		for _, p := range []page{one, two} {
			happened(t, p, "message 1")
		}
		v.site.Stop(t)
		for _, p := range []page{one, two} {
			happened(t, p, "offline 1012")
		}
		v.site.Kept.Publish("2")
		v.site.Kept.Publish("3")
		v.site.Resume(t)
		for _, p := range []page{one, two} {
			p.shows(t, `events.join() === "open,online,message 2,message 3,ready"`)
		}
		v.site.Cut()
		happened(t, two, "offline 1006")
		one.leave(t)
		v.site.Kept.Publish("4")
		v.site.Heal(t)
		p := two
		p.shows(t, `events.join() === "open,online,message 4,ready"`)
	}},
	{"sleep", func(t *testing.T, v *visitor) {
		p := v.open(t)
		happened(t, p, "open")
		p.value(t, `(now => { Date.now = () => now() + 200000; })(Date.now.bind(Date))`)
		happened(t, p, "offline 1006")
		happened(t, p, "online")
		v.conns(t, 1)
	}},
	{"the back/forward cache", func(t *testing.T, v *visitor) {
		p := v.open(t, "tell", "1")
		happened(t, p, "open")
		p.value(t, `setTimeout(() => { location = "/away.html"; })`) // which goes back by itself
		require.Eventually(t, func() bool { return len(v.site.Said()) == 2 }, patience, 20*time.Millisecond)
		again := map[bool]string{true: "restored", false: "loaded"}[v.tabs.caches()]
		require.Equal(t, []string{"loaded", again}, v.site.Said())
		v.conns(t, 1)
	}},
	{"a listener that fails", func(t *testing.T, v *visitor) {
		p := v.open(t)
		p.value(t, `(window.failures = [], window.addEventListener("error", e => { failures.push(e.message); e.preventDefault(); }), 0)`)
		p.value(t, `(client.on("message", () => { throw new Error("mine"); }), client.on("message", () => { window.after = 1; }), client.send("x"), 0)`)
		p.shows(t, `window.after === 1 && failures.length === 1 && failures[0].includes("mine")`)
		happened(t, p, "message echo x")
	}},
}

func TestClientInChromium(t *testing.T) {
	browser := &chromium{openTab(t, startBrowser(t), "the first tab", "about:blank").ctx}
	for _, test := range clientTests {
		t.Run(test.name, func(t *testing.T) { test.run(t, &visitor{testsite.Start(t, bridge.Options{}), browser}) })
	}
}

func TestClientInFirefox(t *testing.T) {
	browser := startFirefox(t)
	for _, test := range clientTests {
		t.Run(test.name, func(t *testing.T) { test.run(t, &visitor{testsite.Start(t, bridge.Options{}), browser}) })
	}
}

// A tab that doesn't react holds the lock: another one takes the connection, and the first one
// follows when it is back.
func TestClientTakesTheConnectionOfATabThatHangs(t *testing.T) {
	v := &visitor{testsite.Start(t, bridge.Options{}), &chromium{openTab(t, startBrowser(t), "the first tab", "about:blank").ctx}}
	one := v.open(t, "share", "true")
	happened(t, one, "open")
	two := v.open(t, "share", "true")
	happened(t, two, "open")
	one.value(t, `setTimeout(() => { // nothing runs in a tab that waits for such a request
		const request = new XMLHttpRequest();
		request.open("GET", "/hold", false);
		request.send();
	})`)
	two.value(t, `document.dispatchEvent(new Event("visibilitychange"))`)
	happened(t, two, "open")
	asks(t, two, `{do: "add", n: 1}`, "1")
	v.site.Release()
	happened(t, one, "open")
	asks(t, one, `{do: "add", n: 1}`, "2")
	v.conns(t, 1)
}

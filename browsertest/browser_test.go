package browsertest_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

// patience is for how long a page may take to show what it should, on a busy machine.
const patience = time.Minute

// browsers are the programs that the tests can use.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell", "headless_shell"}

// startBrowser starts a browser with a profile of its own, which is thrown away unless more says otherwise.
func startBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(programs.Find(t, browsers...)),
		chromedp.WindowSize(1280, 900),
		chromedp.NoSandbox, // Chromium's sandbox doesn't work for root
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(opts, more...)...)
	t.Cleanup(cancel)
	return ctx
}

// tab is one tab of the browser, with the demo in it.
type tab struct {
	ctx  context.Context
	name string

	mu       sync.Mutex
	problems []string // script errors, breaches of the page's security policy
}

// openTab opens the page in a tab: of the browser that the context is of, or of a new one.
func openTab(t *testing.T, in context.Context, name, url string, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in, opts...)
	t.Cleanup(cancel)
	tb := &tab{ctx: ctx, name: name}
	require.NoError(t, chromedp.Listen(ctx, tb.listen), name) // starts the browser
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err, name)
	_, err = chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	require.NoError(t, err, name)
	tb.run(t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url))
	t.Cleanup(func() {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		require.Empty(t, tb.problems, "%s: the browser has complaints", name)
	})
	return tb
}

func (tb *tab) listen(ev any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		tb.problems = append(tb.problems, exceptionText(ev.ExceptionDetails))
	case *log.EventEntryAdded: // a server that is restarting is no problem
		if ev.Entry.Source != log.EntrySourceNetwork && ev.Entry.Level == log.EntryLevelError {
			tb.problems = append(tb.problems, ev.Entry.Text)
		}
	}
}

// exceptionText is what a console would show.
func exceptionText(e *runtime.ExceptionDetails) string {
	if e.Exception != nil {
		return e.Exception.Description
	}
	return e.Text
}

// run does something in the tab.
func (tb *tab) run(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	require.NoError(t, chromedp.Do(ctx, steps...), tb.name)
}

// shows waits until the JavaScript expression is true in the tab.
func (tb *tab) shows(t *testing.T, expression string) {
	t.Helper()
	_, err := chromedp.Run(tb.ctx, chromedp.Poll[chromedp.Void](expression,
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		require.NoError(t, err, "%s never shows %s; it shows:\n%s", tb.name, expression, tb.value(t, `document.body.innerText`))
	}
}

// tabs are to show the same.
type tabs []*tab

// show waits until the JavaScript expressions are true in all of them.
func (ts tabs) show(t *testing.T, expressions ...string) {
	t.Helper()
	for _, expression := range expressions {
		for _, tb := range ts {
			tb.shows(t, expression)
		}
	}
}

// value returns what the JavaScript expression is in the tab.
func (tb *tab) value(t *testing.T, expression string) string {
	t.Helper()
	s, err := chromedp.Run(tb.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	require.NoError(t, err, tb.name)
	return s
}

// press clicks the button as a user does: it has to be visible, and nothing may be above it.
func (tb *tab) press(t *testing.T, selector string) {
	t.Helper()
	// A click goes to where the element is: it must not be on its way elsewhere.
	tb.shows(t, `(e => {
		const was = e.dataset.at;
		e.dataset.at = JSON.stringify(e.getBoundingClientRect());
		return e.checkVisibility() && !e.disabled && e.dataset.at === was;
	})(document.querySelector("`+selector+`"))`)
	tb.run(t, chromedp.Click(chromedp.CSS(selector)))
}

// picture saves what the tab looks like, unless there is no folder for it.
func (tb *tab) picture(t *testing.T, folder, name string) {
	t.Helper()
	if folder == "" {
		return
	}
	png, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600))
}

// emulate gives the tab another size and color scheme.
func (tb *tab) emulate(t *testing.T, width, height int64, scheme string) {
	t.Helper()
	_, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	var opts []chromedp.EmulateViewportOption
	if width < 500 {
		opts = append(opts, chromedp.EmulateMobile)
	}
	tb.run(t, chromedp.EmulateViewport(width, height, opts...))
}

// pictures returns the folder for pictures of the pages: $BROWSERTEST_PICTURES, or "" for none.
func pictures(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("BROWSERTEST_PICTURES")
	if folder != "" {
		require.NoError(t, os.MkdirAll(folder, 0o700))
	}
	return folder
}

package browsertest_test

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// axe-core 4.14.1, under the Mozilla Public License 2.0, as it is published.
//
//go:embed testdata/axe/axe.min.js
var axe string

// accessible requires that axe-core finds nothing serious or critical in the page as it is now.
func (tb *tab) accessible(t *testing.T, state string) {
	t.Helper()
	require.Empty(t, tb.violations(t), "%s, %s", tb.name, state)
}

// violations returns what axe-core finds serious or critical. It comes through the DevTools protocol,
// to which the page's Content Security Policy doesn't apply.
func (tb *tab) violations(t *testing.T) []string {
	t.Helper()
	if tb.value(t, `typeof axe`) == "undefined" {
		_, err := chromedp.Run(tb.ctx, chromedp.Evaluate[string](axe+"; ''"))
		require.NoError(t, err, tb.name)
	}
	found, err := chromedp.Run(tb.ctx, chromedp.Evaluate[[]string](`
		Promise.all(document.getAnimations().map((a) => a.finished.catch(() => {})))
			.then(() => axe.run(document, { resultTypes: ["violations"] }))
			.then(({ violations }) => violations
				.filter((v) => v.impact === "serious" || v.impact === "critical")
				.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`, chromedp.EvalAwaitPromise))
	require.NoError(t, err, tb.name)
	return found
}

// TestAxeFindsWhatIsWrong: without it, a page in which axe-core finds nothing would show nothing.
func TestAxeFindsWhatIsWrong(t *testing.T) {
	tb := openTab(t, startBrowser(t), "a browser", "about:blank")
	tb.value(t, `document.body.innerHTML = "<button></button><p style='color: #999; background: #fff'>faint</p>"`)
	found := strings.Join(tb.violations(t), "\n")
	require.Contains(t, found, "button-name")
	require.Contains(t, found, "color-contrast")
}

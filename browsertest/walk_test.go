package browsertest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TestSoakTabsAtRandom: three tabs of one browser log in as two users, log out, rotate and store,
// several at once, by fetches, forms, double clicks and sockets, while handlers are slow, responses
// come late, twice or never, and requests are cancelled. Once all is quiet the browser is logged in
// as its user expects, in every tab and on every socket, and at no time does a tab show values of
// another user, or a session that was logged out.
//
// It walks eight rounds. With SOAK set it walks for ten minutes, or WALK_FOR, in each of three browsers with
// different options. WALK_SEED repeats a walk.
func TestSoakTabsAtRandom(t *testing.T) {
	neverCached(t)
	if os.Getenv("SOAK") == "" {
		walkAtRandom(t, 8, func(int) bool { return true }, &bridge.Options{RotateGrace: 10 * time.Minute}) // no machine is so slow
		return
	}
	lasts := 10 * time.Minute
	if d, err := time.ParseDuration(os.Getenv("WALK_FOR")); err == nil {
		lasts = d
	}
	for name, opts := range map[string]*bridge.Options{
		"lax":     {RotateGrace: 10 * time.Minute},
		"strict":  {RotateGrace: 10 * time.Minute, SameSite: http.SameSiteStrictMode, StrictBinding: true},
		"renewed": {RotateGrace: 30 * time.Second, RenewEvery: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // on two processors the third waits for another's end
			end := time.Now().Add(lasts)
			walkAtRandom(t, 1<<30, func(int) bool { return time.Now().Before(end) }, opts)
		})
	}
}

type walk struct {
	*testing.T
	rand *rand.Rand
	site *walkSite
	tabs tabs

	user    string // who is logged in
	session bool   // there is one, of a guest at least
	nth     int    // of the requests
}

func walkAtRandom(t *testing.T, rounds int, more func(int) bool, opts *bridge.Options) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("WALK_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("WALK_SEED=%d", seed)
	w := &walk{T: t, rand: rand.New(rand.NewPCG(seed, 0)), site: startWalkSite(t, opts)}
	w.tabs = tabs{openTab(t, startBrowser(t), "tab 1", w.site.url+"/page")}
	for _, name := range []string{"tab 2", "tab 3"} {
		w.tabs = append(w.tabs, openTab(t, w.tabs[0].ctx, name, w.site.url+"/page"))
	}
	for round := 0; round < rounds && more(round); round++ {
		if round > 0 && round%roundsOfAClient == 0 {
			w.beSomebodyElse()
		}
		w.round(round)
	}
	t.Logf("%d requests", w.nth)
}

// roundsOfAClient is how long a client goes on: the sockets of one that has been sent back twice may
// stay where they are (mayStay).
const roundsOfAClient = 8

// beSomebodyElse has the browser forget its cookies.
func (w *walk) beSomebodyElse() {
	_, err := chromedp.Call(w.tabs[0].ctx, network.ClearBrowserCookies, cdp.Empty{})
	require.NoError(w, err)
	for _, tb := range w.tabs {
		tb.run(w.T, chromedp.Navigate(w.site.url+"/page"))
	}
	w.user, w.session = "", false
}

// action is a request that a tab makes.
type action struct {
	what, user string // login, logout, …
	tab        *tab
	query      url.Values
	form       bool // the tab leaves its page with it, and comes back
	giveUp     int  // after so many milliseconds; of a form: it is sent again
	status     int  // of the answer; 0: none came
	done       bool // the server has done it, whatever came of the answer
}

func (a *action) String() string {
	return fmt.Sprintf("%s %s: %s form %t, given up after %d: %d, done %t", a.tab.name, a.what, a.query.Encode(), a.form, a.giveUp, a.status, a.done)
}

func (a *action) path() string { return "/" + a.what + "?" + a.query.Encode() }

// round does some things at once, waits until all is quiet, and looks who is logged in.
func (w *walk) round(nth int) {
	var actions []*action
	for range 1 + w.rand.IntN(4) {
		actions = append(actions, w.action(w.tabs[w.rand.IntN(2)], false))
	}
	if w.rand.IntN(2) == 0 {
		actions = append(actions, w.action(w.tabs[2], true))
	}
	for _, a := range actions {
		if a.form {
			a.tab.value(w.T, fmt.Sprintf("(left = true, post(%q, %d))", a.path(), a.giveUp))
		} else {
			a.tab.value(w.T, fmt.Sprintf("act(%q, %d, %d)", a.path(), w.rand.IntN(150), a.giveUp))
		}
	}
	w.collect(actions)
	context := fmt.Sprintf("round %d, of %q:", nth, w.user)
	for _, a := range actions {
		context += "\n\t" + a.String()
		require.Contains(w, []int{0, http.StatusOK, http.StatusUnauthorized, http.StatusConflict}, a.status, context)
	}
	trace := w.site.traced()
	context += "\n\t" + strings.Join(trace, "\n\t")
	want, anyOf := w.mayBe(actions), w.site.several() || !w.session
	status, user := w.ask(w.tabs[0], "/who")
	if status == http.StatusConflict {
		status, user = w.loginAgain(actions)
	}
	require.Equal(w, http.StatusOK, status, context)
	orphaned := user == "" && holdsRotated(trace, w.site.lastPresented())
	if orphaned {
		want = append(want, "")
	}
	require.Contains(w, want, user, context)
	w.user = user
	w.session = w.stillHasSession(actions)
	if orphaned {
		w.session, anyOf = false, true
	}
	for _, tb := range w.tabs[:2] {
		_, again := w.ask(tb, "/who")
		require.Equal(w, user, again, context)
		if anyOf { // several may have been begun, also with a token that a login had replaced, of which the browser keeps one and the socket has another
			tb.value(w.T, "socket?.close()")
		}
		var said string
		agrees := func() bool {
			said = tb.await(w.T, "ask()")
			if said != user && w.mayStay() {
				tb.value(w.T, "socket?.close()")
			}
			return said == user
		}
		if !assert.Eventually(w, agrees, patience, 20*time.Millisecond) {
			require.Fail(w, "a socket of another user, or none", "%s\n%s: the socket says %q, not %q; open are %v", context, tb.name, said, user, w.site.users())
		}
	}
	require.Empty(w, w.site.fault(), context)
}

// mayStay reports whether a socket in a session of its own may stay open although the browser has another one
// now: the client's have been sent back as often as docs/sockets.md permits.
func (w *walk) mayStay() bool {
	times := 0
	for _, tb := range w.tabs[:2] {
		n, err := strconv.Atoi(tb.value(w.T, "sentBack"))
		require.NoError(w, err)
		times += n
	}
	return times >= 2
}

// action makes one up.
func (w *walk) action(tb *tab, form bool) *action {
	w.nth++
	a := &action{tab: tb, form: form, query: url.Values{"nth": {strconv.Itoa(w.nth)}}}
	a.what = []string{"who", "store", "store", "rotate", "login", "login", "login", "logout"}[w.rand.IntN(8)]
	if a.what == "login" {
		a.user = []string{"ada", "bob"}[w.rand.IntN(2)]
		a.query.Set("user", a.user)
	}
	for _, pause := range []string{"held", "before", "hash", "after", "late"} {
		if w.rand.IntN(3) == 0 {
			a.query.Set(pause, fmt.Sprintf("%dms", w.rand.IntN(200)))
		}
	}
	switch a.what {
	case "rotate": // once its answer is lost, the token can't be replaced for as long as RotateGrace
		return a
	case "store":
		if !w.session {
			return a
		}
	}
	switch w.rand.IntN(6) {
	case 0:
		a.giveUp = 1 + w.rand.IntN(300)
	case 1:
		a.query.Set("lose", []string{"once", "all"}[w.rand.IntN(2)])
	}
	return a
}

// collect waits for the answers, and until nothing is under way.
func (w *walk) collect(actions []*action) {
	for _, tb := range w.tabs {
		var texts []string
		of := slices.DeleteFunc(slices.Clone(actions), func(a *action) bool { return a.tab != tb })
		if len(of) > 0 && of[0].form {
			texts = []string{w.arrival(tb)}
		} else {
			require.NoError(w, json.Unmarshal([]byte(tb.await(w.T, "answers()")), &texts))
		}
		for i, a := range of {
			status, _, _ := strings.Cut(texts[i], " ")
			a.status, _ = strconv.Atoi(status)
		}
	}
	require.Eventually(w, w.site.quiet, patience, 5*time.Millisecond)
	for _, a := range actions {
		a.done = w.site.done(a.query.Get("nth"))
	}
}

// arrival waits until the tab has arrived where its form led, and has it come back.
func (w *walk) arrival(tb *tab) (status string) {
	require.Eventually(w, func() bool {
		var err error
		status, err = chromedp.Run(tb.ctx, chromedp.Evaluate[string](
			`typeof left === "undefined" && document.readyState === "complete" ? String(performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0) : ""`))
		return err == nil && status != ""
	}, patience, 5*time.Millisecond, tb.name)
	tb.run(w.T, chromedp.Navigate(w.site.url+"/page"))
	return status
}

// mayBe returns who may be logged in after the actions.
func (w *walk) mayBe(actions []*action) (may []string) {
	changed, replaced := false, 0
	for _, a := range actions {
		if a.done && (a.what == "login" || a.what == "rotate") {
			replaced++
		}
	}
	for _, a := range actions {
		switch {
		case a.what == "store" && !w.session: // of first responses that store a session the last one's cookies are kept
			may = append(may, "")
		case a.what == "login" && a.done:
			may = append(may, a.user)
			// The browser may not have heard of a first session, or of one that was begun since
			// others had replaced the token on the way.
			changed = changed || w.session && (a.status == http.StatusOK || replaced == 1)
		case a.what == "logout" && a.done:
			may, changed = append(may, ""), true
		}
	}
	if !changed {
		may = append(may, w.user)
	}
	return may
}

// holdsRotated reports whether the browser was left with a credential that a rotation had replaced: the
// response to the login that set it came after that of the rotation that followed.
func holdsRotated(trace []string, credential string) bool {
	has := func(path, part string) bool {
		return slices.ContainsFunc(trace, func(line string) bool {
			return strings.HasPrefix(line, path) && strings.Contains(line+" ", part)
		})
	}
	return credential != "" && has("/login ", " 200 sets "+credential+" ") && has("/rotate ", " with "+credential+" 200 ")
}

// stillHasSession reports whether the browser has a session after the actions.
func (w *walk) stillHasSession(actions []*action) bool {
	has := w.session
	for _, a := range actions {
		has = has || a.what == "store" && a.status == http.StatusOK
	}
	return w.user != "" || has && !slices.ContainsFunc(actions, func(a *action) bool { return a.what == "logout" })
}

// loginAgain is what the user does whose login got no answer: the browser isn't locked out.
func (w *walk) loginAgain(actions []*action) (status int, user string) {
	for _, a := range actions {
		if a.what == "login" && a.done {
			if status, _ = w.ask(w.tabs[1], "/login?user="+a.user); status == http.StatusOK {
				return w.ask(w.tabs[0], "/who")
			}
		}
	}
	return http.StatusConflict, ""
}

// ask has the tab fetch something, and returns the answer.
func (w *walk) ask(tb *tab, path string) (status int, text string) {
	answer := tb.await(w.T, fmt.Sprintf(`fetch(%q, { method: "POST" }).then(async r => r.status + " " + await r.text())`, path))
	before, text, _ := strings.Cut(answer, " ")
	status, err := strconv.Atoi(before)
	require.NoError(w, err, answer)
	return status, text
}

// await returns what the promise brings.
func (tb *tab) await(t *testing.T, promise string) string {
	t.Helper()
	s, err := chromedp.Run(tb.ctx, chromedp.Evaluate[string](promise, chromedp.EvalAwaitPromise))
	require.NoError(t, err, tb.name)
	return s
}

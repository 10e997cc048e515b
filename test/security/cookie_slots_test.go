package security_test

import (
	"maps"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

const shop = "http://shop.example.test"

// An application is redeployed with another Domain or Path of its cookies. The browser keeps the
// old ones beside the new ones.
func TestLoginHoldsAfterARedeployWithOtherCookieAttributes(t *testing.T) {
	type place struct{ domain, path string }
	for name, c := range map[string]struct {
		before, after place
		first, login  string // where the visitor has been, and logs in after the redeploy
	}{
		"a domain":                          {place{}, place{domain: "example.test"}, "/shop", "/shop"},
		"no domain any more":                {place{domain: "example.test"}, place{}, "/shop", "/shop"},
		"a path":                            {place{}, place{path: "/shop"}, "/shop", "/shop"},
		"no path any more":                  {place{path: "/shop"}, place{}, "/shop", "/shop"},
		"no path any more, login elsewhere": {place{path: "/shop"}, place{}, "/shop", ""},
		"both":                              {place{path: "/shop"}, place{domain: "example.test"}, "/shop", ""},
	} {
		for _, strict := range []bool{false, true} {
			for _, pause := range []time.Duration{0, time.Hour} {
				for _, ended := range []bool{false, true} {
					for _, reversed := range []bool{false, true} {
						t.Run(name+"/"+strconv.FormatBool(strict)+"/"+pause.String()+"/"+strconv.FormatBool(ended)+"/"+strconv.FormatBool(reversed), func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) {
								st := livestore.New()
								_, before := slotApp(t, st, bridge.Options{Domain: c.before.domain, Path: c.before.path, StrictBinding: strict})
								visitor := newTab(t)
								visitor.reversed = reversed
								visitor.ok(before, shop+c.first+"/inc")
								time.Sleep(pause)
								b, after := slotApp(t, st, bridge.Options{Domain: c.after.domain, Path: c.after.path, StrictBinding: strict})
								if ended {
									_, err := b.DestroyAll(t.Context())
									require.NoError(t, err)
								}
								visitor.ok(after, shop+c.login+"/login?user=ada")
								for range 3 {
									time.Sleep(pause)
									require.Equal(t, "ada", visitor.ok(after, shop+"/shop/who"))
								}
								require.Equal(t, "ada", visitor.ok(after, shop+c.login+"/who"))
								require.Zero(t, b.Stats().Mismatches)
								visitor.ok(after, shop+"/shop/rotate")
								require.Equal(t, "ada", visitor.ok(after, shop+"/shop/who"))
								visitor.ok(after, shop+"/shop/login?user=ada") // its token is current
								require.Equal(t, "ada", visitor.ok(after, shop+"/shop/who"))
							})
						})
					}
				}
			}
		}
	}
}

// The cookies of production reach staging, whose host is below its own. They are signed with the
// same keys and open nothing there.
func TestStagingBelowProductionWithTheSameKeys(t *testing.T) {
	const prod, staging = "http://example.test", "http://staging.example.test"
	for _, reversed := range []bool{false, true} {
		for _, strict := range []bool{false, true} {
			_, production := slotApp(t, livestore.New(), bridge.Options{Domain: "example.test", StrictBinding: strict})
			b, stage := slotApp(t, livestore.New(), bridge.Options{StrictBinding: strict})
			for _, first := range []bool{false, true} {
				dev := newTab(t)
				dev.reversed = reversed
				if first {
					dev.ok(stage, staging+"/inc")
				}
				dev.ok(production, prod+"/login?user=ada")
				for range 3 {
					dev.ok(stage, staging+"/login?user=bob")
					require.Equal(t, "bob", dev.ok(stage, staging+"/who"))
					dev.ok(stage, staging+"/rotate")
					require.Equal(t, "bob", dev.ok(stage, staging+"/who"))
				}
				require.Equal(t, "ada", dev.ok(production, prod+"/who"))
				require.Zero(t, b.Stats().Mismatches)
			}
		}
	}
}

// A sibling host may add cookies with valid signatures: of sessions that have ended, and of its own
// sessions.
func TestSignedCookiesOfOthersDontHideTheOwn(t *testing.T) {
	for _, strict := range []bool{false, true} {
		for _, restarted := range []bool{false, true} {
			st := livestore.New()
			b, h := slotApp(t, st, bridge.Options{StrictBinding: strict})
			owner := webclient.Pocket{}
			owner.Get(t, h, "/inc")
			junk := ""
			for i := range 10 {
				other := webclient.Pocket{}
				other.Get(t, h, "/inc")
				junk += "sid=" + other["sid"] + "; "
				if i%2 == 0 {
					maps.Clone(other).Get(t, h, "/logout")
				}
			}
			if restarted { // it remembers none of them
				b, h = slotApp(t, st, bridge.Options{StrictBinding: strict})
			}
			for _, cookies := range []string{junk + owner.Header(), owner.Header() + "; " + junk} {
				w := send(t, h, "/get", cookies)
				require.Equal(t, "1", w.Body.String())
				require.Empty(t, w.Header()["Set-Cookie"])
			}
			require.Zero(t, b.Stats().Mismatches)
			require.Zero(t, b.Stats().Refused, "a cookie beside the one that opens the session is no refusal")
		}
	}
}

// The cookies of a request cost a bounded number of reads, however many they are; the client's own
// session, as far as this process knows it, is among them.
func TestCookiesCostABoundedNumberOfReads(t *testing.T) {
	st := teststore.NewFaulty()
	_, h := slotApp(t, st, bridge.Options{})
	owner, junk := webclient.Pocket{}, ""
	owner.Get(t, h, "/inc")
	for range 100 {
		other := webclient.Pocket{}
		other.Get(t, h, "/inc")
		junk += "sid=" + other["sid"] + "; "
	}
	before := st.Count("Get")
	require.Equal(t, "1", send(t, h, "/get", junk+owner.Header()).Body.String())
	require.LessOrEqual(t, st.Count("Get")-before, 48)
	_, restarted := slotApp(t, st, bridge.Options{StrictBinding: true}) // which knows none of them
	guest := webclient.Pocket{}
	guest.Get(t, restarted, "/client")
	before = st.Count("Get")
	require.Equal(t, "0", send(t, restarted, "/get", junk+"sid.cid="+guest["sid.cid"]).Body.String())
	require.LessOrEqual(t, st.Count("Get")-before, 48)
}

func TestTheCurrentTokenOfASessionCounts(t *testing.T) {
	for _, path := range []string{"/login?user=ada", "/rotate"} {
		for _, oldFirst := range []bool{true, false} {
			before, after, h := testkit.Rotated(t, path, nil)
			sids := "sid=" + after["sid"] + "; sid=" + before["sid"]
			if oldFirst {
				sids = "sid=" + before["sid"] + "; sid=" + before["sid"] + "; sid=" + after["sid"]
			}
			cookies := "sid.cid=" + after["sid.cid"] + "; " + sids
			require.Equal(t, "1", send(t, h, "/get", cookies).Body.String())
			require.Equal(t, http.StatusOK, send(t, h, "/login?user=bob", cookies).Code, "it may replace the token")
		}
	}
}

// A token that a login has just replaced is answered with 409, unless another cookie opens a
// session.
func TestARotatedTokenHidesNoOtherSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := slotApp(t, livestore.New(), bridge.Options{RenewEvery: 30 * time.Second})
		one := webclient.Pocket{}
		one.Get(t, h, "/inc")
		two := webclient.Pocket{"sid.cid": one["sid.cid"]}
		two.Get(t, h, "/inc")
		two.Get(t, h, "/inc")
		old := maps.Clone(one)
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusOK, one.Get(t, h, "/login?user=ada").Code)
		require.Equal(t, http.StatusConflict, send(t, h, "/get", old.Header()).Code)
		for _, cookies := range []string{old.Header() + "; sid=" + two["sid"], "sid=" + two["sid"] + "; " + old.Header()} {
			w := send(t, h, "/get", cookies)
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "2", w.Body.String())
			require.Empty(t, w.Header()["Set-Cookie"], "a renewed token would take the place of the login's")
		}
		require.NotEmpty(t, send(t, h, "/get", two.Header()).Header()["Set-Cookie"], "alone it is renewed")
	})
}

// The client's own session has just got a new token, so the request is to be repeated. It doesn't
// open another client's session instead.
func TestARotatedTokenOfTheOwnSessionComesBeforeAnothersSession(t *testing.T) {
	b, h := slotApp(t, livestore.New(), bridge.Options{})
	owner, stranger := webclient.Pocket{}, webclient.Pocket{}
	owner.Get(t, h, "/inc")
	stranger.Get(t, h, "/inc")
	old := maps.Clone(owner)
	owner.Get(t, h, "/login?user=ada")
	w := send(t, h, "/get", "sid="+stranger["sid"]+"; "+old.Header())
	require.Equal(t, http.StatusConflict, w.Code)
	require.Empty(t, w.Header()["Set-Cookie"])
	require.Zero(t, b.Stats().Mismatches)
}

func TestG9_StoreThatFailsAtOneOfSeveralCookiesIsAnError(t *testing.T) {
	st := teststore.NewFaulty()
	_, h := slotApp(t, st, bridge.Options{})
	dead, owner := webclient.Pocket{}, webclient.Pocket{}
	dead.Get(t, h, "/inc")
	maps.Clone(dead).Get(t, h, "/logout")
	owner.Get(t, h, "/inc")
	for nth := 1; nth <= 3; nth++ {
		for _, cookies := range []string{"sid=" + dead["sid"] + "; " + owner.Header(), owner.Header() + "; sid=" + dead["sid"]} {
			st.Heal()
			st.Next(nth, "Get", teststore.Refuse(teststore.ErrOutage))
			w := send(t, h, "/get", cookies)
			if w.Code == http.StatusOK { // it didn't need that read
				require.Equal(t, "1", w.Body.String())
				continue
			}
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Empty(t, w.Header()["Set-Cookie"])
		}
	}
	st.Heal()
	st.Always(teststore.Refuse(teststore.ErrOutage), "Get")
	require.Equal(t, http.StatusServiceUnavailable, send(t, h, "/get", "sid="+dead["sid"]+"; "+owner.Header()).Code)
}

// Any of several client cookies may be the session's.
func TestAnyClientCookieMayBeTheSessions(t *testing.T) {
	for _, strict := range []bool{false, true} {
		b, h := slotApp(t, livestore.New(), bridge.Options{StrictBinding: strict})
		owner, other := webclient.Pocket{}, webclient.Pocket{}
		owner.Get(t, h, "/inc")
		client := owner.Get(t, h, "/client").Body.String()
		other.Get(t, h, "/client")
		for _, cookies := range []string{"sid.cid=" + other["sid.cid"] + "; " + owner.Header(), owner.Header() + "; sid.cid=" + other["sid.cid"]} {
			w := send(t, h, "/get", cookies)
			require.Equal(t, "1", w.Body.String())
			require.Empty(t, w.Header()["Set-Cookie"])
			require.Equal(t, client, send(t, h, "/client", cookies).Body.String(), "it is the client, too, before the session is opened")
		}
		require.Zero(t, b.Stats().Mismatches)
		send(t, h, "/get", "sid="+owner["sid"]+"; sid.cid="+other["sid.cid"])
		require.EqualValues(t, 1, b.Stats().Mismatches, "another client's cookie alone is none")
	}
}

// A handshake tries cookies as a page does.
func TestHandshakeTriesSeveralCookies(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{StrictBinding: true})
	site := a.Serve(t)
	br, other, dead := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	br.OK("/inc")
	other.OK("/inc")
	dead.OK("/inc")
	gone := dead.Cookie("sid")
	dead.OK("/logout")
	program := webclient.NewBrowser(t, site)
	for _, cookies := range []string{
		"sid=" + gone + "; sid=" + other.Cookie("sid") + "; sid=" + br.Cookie("sid") + "; sid.cid=" + dead.Cookie("sid.cid") + "; sid.cid=" + br.Cookie("sid.cid"),
		"sid.cid=" + br.Cookie("sid.cid") + "; sid.cid=" + dead.Cookie("sid.cid") + "; sid=" + br.Cookie("sid") + "; sid=" + gone + "; sid=" + other.Cookie("sid"),
	} {
		ws, _, err := program.TryDial("/ws", http.Header{"Cookie": {cookies}})
		require.NoError(t, err)
		require.Equal(t, strconv.Quote(br.OK("/id")), ws.Ask("id"))
	}
	require.Zero(t, a.Stats().Mismatches)
}

// A logout also ends the browser's older sessions, which the next page would open.
func TestLogoutEndsEverySessionThatTheClientPresents(t *testing.T) {
	for _, reversed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			st := teststore.NewFaulty()
			_, before := slotApp(t, st, bridge.Options{Path: "/shop"})
			ada := newTab(t)
			ada.reversed = reversed
			ada.ok(before, shop+"/shop/login?user=ada")
			time.Sleep(time.Hour)
			b, after := slotApp(t, st, bridge.Options{})
			ada.ok(after, shop+"/login?user=ada")
			stranger := webclient.Pocket{}
			stranger.Get(t, after, "/inc")
			require.Equal(t, "ada", ada.ok(after, shop+"/shop/who"))

			st.Next(1, "Destroy", teststore.Refuse(teststore.ErrOutage))
			require.Equal(t, http.StatusServiceUnavailable, ada.visit(after, shop+"/shop/logout", "Cookie", "sid="+stranger["sid"]).Code)
			require.Equal(t, "ada", ada.ok(after, shop+"/shop/who"), "nothing has ended")

			ends := testkit.Record[bridge.SessionDestroy](t, b)
			require.Equal(t, http.StatusOK, ada.visit(after, shop+"/shop/logout", "Cookie", "sid="+stranger["sid"]).Code)
			require.Empty(t, ada.ok(after, shop+"/shop/who"))
			require.Empty(t, ada.ok(after, shop+"/who"))
			require.Equal(t, bridge.ReasonLogout, ends.Next().Reason)
			require.Equal(t, bridge.ReasonLogout, ends.Next().Reason)
			require.Equal(t, "1", stranger.Get(t, after, "/get").Body.String(), "another client's session stays")
		})
	}
}

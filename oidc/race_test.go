package oidc_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
)

// TestG15_LogoutDuringALogin: wherever between two operations of a login's callback the logout
// arrives, at another node, no session is left behind.
func TestG15_LogoutDuringALogin(t *testing.T) {
	for name, c := range map[string]struct{ has, sid, subject string }{
		"sid":                                {"sid-1", "sid-1", ""},
		"sub":                                {"sid-1", "", "ada"},
		"sid and sub":                        {"sid-1", "sid-1", "ada"},
		"sub without sid":                    {"", "", "ada"},
		"sid that the ID token doesn't have": {"", "sid-1", "ada"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			for _, begun := range []string{"a new session", "a guest", "another user", "the user again"} {
				points := loginWithLogoutAt(t, begun, c.has, c.sid, c.subject, -1)
				require.Greater(t, points, 8)
				for at := range points {
					loginWithLogoutAt(t, begun, c.has, c.sid, c.subject, at)
				}
			}
		})
	}
}

// loginWithLogoutAt runs a login with a logout before the operation with the number at, and returns
// how many operations there are. Operation 0 is the exchange of the code. With -1 the logout comes
// after the login.
func loginWithLogoutAt(t *testing.T, begun, has, sid, subject string, at int) (n int) {
	synctest.Test(t, func(t *testing.T) {
		st := newGated()
		p := newIDP(t)
		here := newApp(t, p, st, nil)
		there := newApp(t, p, st.Store, nil) // on the same records
		v := visitAt(t, webclient.ServeInMemory(t, here.handler), p)
		switch begun {
		case "a guest":
			v.OK("/set")
		case "another user":
			p.subject, p.sid = "ben", "sid-0"
			v.logIn()
		case "the user again":
			p.sid = "sid-0"
			v.logIn()
			time.Sleep(2 * time.Second)
		}
		p.subject, p.sid = "ada", has
		answer := v.begin("/login")
		claims := p.logoutClaims(sid, subject)
		step := func(string) error {
			if n == at {
				now := p.logoutClaims(sid, subject)
				claims["iat"], claims["exp"] = now["iat"], now["exp"]
				require.Equal(t, http.StatusOK, there.post(p.sign(claims, nil)))
			}
			n++
			return nil
		}
		p.onToken = func() {
			require.NoError(t, step(""))
			st.use(step)
		}
		rep := v.callback(answer)
		st.use(nil)
		if at < 0 {
			require.Equal(t, http.StatusSeeOther, rep.Status)
			require.Equal(t, userID("ada"), v.OK("/user"))
			require.Equal(t, http.StatusOK, there.post(p.sign(claims, nil)))
		}
		why := fmt.Sprintf("%s, logout before operation %d of %d: status %d, %v", begun, at, n, rep.Status, here.failed)
		spared := begun == "the user again" && sid != "" && has != "sid-0" // sid-0 goes on, if the login has not replaced it
		for _, info := range sessionsOf(t, here, userID("ada")) {
			s, err := here.bridge.GetByID(t.Context(), info.ID)
			require.NoError(t, err)
			l, ok := oidc.LoginOf(s)
			require.True(t, ok && spared && l.SessionID == "sid-0", why)
		}
		if rep.Status == http.StatusSeeOther || !spared {
			require.NotEqual(t, userID("ada"), v.Get("/user").Body, why)
		}
		if begun == "another user" && at == 0 {
			require.Equal(t, userID("ben"), v.OK("/user"), "a login that was refused before it began")
		}
		require.Zero(t, st.pending(t), why)
	})
	return n
}

// TestG15_StoreOutageDuringALogin: wherever it begins, the visitor isn't logged in without a record
// by which a logout finds the session.
func TestG15_StoreOutageDuringALogin(t *testing.T) {
	for at := range 40 {
		var n int
		synctest.Test(t, func(t *testing.T) {
			st := newGated()
			p := newIDP(t)
			a := newApp(t, p, st, nil)
			v := visitAt(t, webclient.ServeInMemory(t, a.handler), p)
			answer := v.begin("/login")
			p.onToken = func() {
				st.use(func(string) error {
					if n++; n > at {
						return errDown
					}
					return nil
				})
			}
			rep := v.callback(answer)
			st.use(nil)
			if rep.Status == http.StatusSeeOther {
				require.Equal(t, userID("ada"), v.OK("/user"))
			} else {
				require.Equal(t, http.StatusServiceUnavailable, rep.Status, "operation %d", at)
				require.Empty(t, v.Get("/user").Body, "operation %d %v", at, rep.Header)
			}
			require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "")))
			require.Empty(t, v.Get("/user").Body, "operation %d", at)
		})
		if n <= at {
			require.Greater(t, at, 8)
			return
		}
	}
	require.Fail(t, "the login never ends")
}

// TestG15_StoreOutageDuringALogout: 503, and the same token ends the sessions later.
func TestG15_StoreOutageDuringALogout(t *testing.T) {
	for at := range 40 {
		var n int
		synctest.Test(t, func(t *testing.T) {
			st := newGated()
			p := newIDP(t)
			a := newApp(t, p, st, nil)
			site := webclient.ServeInMemory(t, a.handler)
			phone, laptop := visitAt(t, site, p), visitAt(t, site, p)
			phone.logIn()
			laptop.logIn()
			token := p.logoutToken("", "ada")
			st.use(func(op string) error {
				if op == "sessionbridge.oidc/Destroy" { // of the records, after the fact
					return nil
				}
				if n++; n > at {
					return errDown
				}
				return nil
			})
			status := a.post(token)
			st.use(nil)
			if n <= at {
				require.Equal(t, http.StatusOK, status)
				require.Greater(t, at, 8)
			} else {
				require.Equal(t, http.StatusServiceUnavailable, status, "operation %d", at)
				require.Equal(t, http.StatusOK, a.post(token))
			}
			require.Empty(t, a.alive(), "operation %d", at)
		})
		if n <= at {
			return
		}
	}
	require.Fail(t, "the logout never ends")
}

// TestG15_ReplayEndsNothing: a token that has been processed gets 200 without an effect, at any
// node.
func TestG15_ReplayEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newGated()
		p := newIDP(t)
		here, there := newApp(t, p, st, nil), newApp(t, p, st, nil)
		v := visitAt(t, webclient.ServeInMemory(t, here.handler), p)
		token := p.logoutToken("", "ada")
		require.Equal(t, http.StatusOK, here.post(token))
		time.Sleep(2 * time.Second)
		p.change = func(claims map[string]any) { claims["iat"] = time.Now().Unix() }
		v.logIn()
		var ops []string
		st.use(func(op string) error { ops = append(ops, op); return nil })
		require.Equal(t, http.StatusOK, there.post(token))
		st.use(nil)
		require.Equal(t, []string{"sessionbridge.oidc/Get"}, ops)
		require.Equal(t, userID("ada"), v.OK("/user"))
	})
}

// TestG15_LoginsOfOneSessionAtTheSameTime: of two with different sids, the session's own one ends
// it, wherever the second one is stored between two operations of the first one.
func TestG15_LoginsOfOneSessionAtTheSameTime(t *testing.T) {
	both := 0 // how often both have succeeded
	for at := range 40 {
		var n int
		synctest.Test(t, func(t *testing.T) {
			st := newGated()
			p := newIDP(t)
			here, there := newApp(t, p, st, nil), newApp(t, p, st.Store, nil)
			v := visitAt(t, webclient.ServeInMemory(t, here.handler), p)
			w := visitAt(t, webclient.ServeInMemory(t, there.handler), p)
			w.Client.Jar = v.Client.Jar
			one, two := v.begin("/login"), v.begin("/login")

			goOn, exchanging, second := make(chan struct{}), make(chan struct{}), make(chan int, 1)
			p.onToken = func() {
				close(exchanging)
				<-goOn
				p.sid = "sid-two"
			}
			go func() { second <- w.Get("/callback?" + two.Encode()).Status }()
			<-exchanging
			secondStatus := 0
			p.sid = "sid-one"
			p.onToken = func() {
				st.use(func(string) error {
					if n == at {
						close(goOn)
						secondStatus = <-second
					}
					n++
					return nil
				})
			}
			firstStatus := v.Get("/callback?" + one.Encode()).Status
			st.use(nil)
			if n <= at {
				close(goOn)
				secondStatus = <-second
			}
			if firstStatus == http.StatusSeeOther && secondStatus == http.StatusSeeOther {
				both++
			}
			for _, info := range sessionsOf(t, here, userID("ada")) {
				s, err := here.bridge.GetByID(t.Context(), info.ID)
				require.NoError(t, err)
				l, ok := oidc.LoginOf(s)
				require.True(t, ok)
				require.Equal(t, http.StatusOK, here.post(p.logoutToken(l.SessionID, "")))
			}
			require.Empty(t, here.alive(), "the second login before operation %d of %d of the first", at, n)
		})
		if n <= at {
			require.Greater(t, at, 8)
			require.Greater(t, both, 4)
			return
		}
	}
	require.Fail(t, "the login never ends")
}

func sessionsOf(t testing.TB, a *app, user string) (all []bridge.Info) {
	t.Helper()
	for info, err := range a.bridge.Sessions(t.Context(), bridge.Filter{UserID: user}) {
		require.NoError(t, err)
		all = append(all, info)
	}
	return all
}

// TestG15_RecordsAreRemoved: that of a session with the session, and those of logouts in time.
func TestG15_RecordsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newGated()
		p := newIDP(t)
		a := newApp(t, p, st, nil)
		site := webclient.ServeInMemory(t, a.handler)
		v := visitAt(t, site, p)
		v.logIn()
		require.Equal(t, 1, st.records(t))
		v.logIn()
		require.Equal(t, 1, st.records(t), "one for each session")
		_, err := a.bridge.DestroyByID(t.Context(), v.OK("/id"))
		require.NoError(t, err)
		synctest.Wait()
		require.Zero(t, st.records(t))

		v.logIn()
		time.Sleep(25 * time.Hour) // the session expires
		_, err = a.bridge.Cleanup(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		require.Zero(t, st.records(t))

		for range 10 {
			require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "ada")))
		}
		require.Equal(t, 12, st.records(t), "10 tokens, two marks")
		time.Sleep(time.Hour)
		v.logIn()
		require.Equal(t, 1, st.records(t))
	})
}

// TestG15_RecordsOutliveTheirSessions: also if a session lives long, or for ever.
func TestG15_RecordsOutliveTheirSessions(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for lifetime, least := range map[time.Duration]time.Duration{
		0: 400 * 24 * time.Hour, 2 * year: 2 * year, bridge.Off: 0,
	} {
		st := newGated()
		p := newIDP(t)
		a := newApp(t, p, st, func(_ *bridge.Options, o *oidc.Options) {
			o.OnLogin = func(_ context.Context, s *bridge.Session, _ *oidc.Claims) error {
				if lifetime != 0 {
					s.SetLifetime(lifetime)
				}
				return nil
			}
		})
		id := newVisitor(t, a, p).logIn()
		rec, err := st.App("sessionbridge.oidc").Get(t.Context(), id)
		require.NoError(t, err)
		if least == 0 {
			require.Zero(t, rec.Expires)
		} else {
			require.Greater(t, time.Until(rec.Expires), least)
		}
	}
}

// TestG15_ReplayOfALongLivedToken: a token that is valid for longer than it is remembered doesn't end
// a login that has been accepted since, not even one of a provider that has kept its session.
func TestG15_ReplayOfALongLivedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP(t)
		a := newApp(t, p, livestore.New(), nil)
		v := visitAt(t, webclient.ServeInMemory(t, a.handler), p)
		v.logIn()
		claims := p.logoutClaims("sid-1", "ada")
		claims["exp"] = time.Now().Add(48 * time.Hour).Unix()
		token := p.sign(claims, nil)
		require.Equal(t, http.StatusOK, a.post(token))
		require.Empty(t, v.OK("/user"))
		time.Sleep(25 * time.Hour)
		v.logIn()
		require.Equal(t, http.StatusOK, a.post(token), "a replay")
		require.Equal(t, userID("ada"), v.OK("/user"))
		require.Equal(t, http.StatusOK, a.post(p.logoutToken("sid-1", "ada")))
		require.Empty(t, v.OK("/user"))
	})
}

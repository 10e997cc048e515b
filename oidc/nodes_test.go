package oidc_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testclock"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// onRedis starts an application with connections of its own, like another process.
func onRedis(t *testing.T, s *redistest.Server, p *idp) *app {
	t.Helper()
	st, err := redisstore.Open(t.Context(), s.URL(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return newApp(t, p, st, nil)
}

// TestG15_LogoutReachesOtherNodes: a logout token that one process receives ends the session that
// another one has begun, and closes its sockets there as fast as any end of a session does (G4).
func TestG15_LogoutReachesOtherNodes(t *testing.T) {
	const rounds = 9
	s := redistest.Start(t)
	p := newIDP(t)
	here, there := onRedis(t, s, p), onRedis(t, s, p)
	hereSite, thereSite := webclient.Serve(t, here.handler), webclient.Serve(t, there.handler)
	control := visitAt(t, hereSite, p)
	control.OK("/set")
	elsewhere := control.At(thereSite)
	clock := testclock.Start(t, func() error { // a request to each of the servers
		_, err := control.Try(t.Context(), "/id")
		if err == nil {
			_, err = elsewhere.Try(t.Context(), "/id")
		}
		return err
	})
	// round returns how long end takes to close the socket that a session of there has at there,
	// and checks that a session of the same user, and one of another user, go on.
	round := func(n int, end func(id, sid string)) time.Duration {
		p.subject, p.sid = "ben", "sid-ben"
		ben := visitAt(t, hereSite, p)
		ben.logIn()
		p.subject, p.sid = "ada", "sid-laptop"
		laptop := visitAt(t, hereSite, p)
		laptop.logIn()
		p.sid = "sid-" + string(rune('a'+n))
		phone := visitAt(t, thereSite, p)
		id := phone.logIn()
		tab := phone.Dial("/ws")
		others := []*webclient.Socket{ben.At(thereSite).Dial("/ws"), laptop.At(thereSite).Dial("/ws")}
		require.Equal(t, "user "+userID("ada"), tab.Ask("hello"))
		began := clock.Elapsed()
		end(id, p.sid)
		require.Equal(t, bridge.CodeDestroyed, tab.Closed())
		took := clock.Elapsed() - began
		require.Empty(t, phone.OK("/user"))
		require.Equal(t, "user "+userID("ben"), others[0].Ask("hello"))
		require.Equal(t, "user "+userID("ada"), others[1].Ask("hello"))
		return took
	}
	var plain, logouts []time.Duration
	for n := range rounds {
		plain = append(plain, round(2*n, func(id, _ string) {
			was, err := here.bridge.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
		}))
		logouts = append(logouts, round(2*n+1, func(_, sid string) {
			require.Equal(t, http.StatusOK, here.post(p.logoutToken(sid, "")))
		}))
	}
	slices.Sort(plain)
	slices.Sort(logouts)
	require.LessOrEqual(t, logouts[rounds/2], plain[rounds/2]+50*time.Millisecond, "%v, an end by ID: %v", logouts, plain)
}

// TestG15_LogoutByAnyNodeAfterARestart: the index is in the store, not in a process.
func TestG15_LogoutByAnyNodeAfterARestart(t *testing.T) {
	s := redistest.Start(t)
	p := newIDP(t)
	first := onRedis(t, s, p)
	v := newVisitor(t, first, p)
	v.logIn()
	second := onRedis(t, s, p)
	for _, token := range []string{p.logoutToken("sid-2", ""), p.logoutToken("", "ben")} {
		require.Equal(t, http.StatusOK, second.post(token))
	}
	require.Equal(t, userID("ada"), v.OK("/user"))
	require.Equal(t, http.StatusOK, second.post(p.logoutToken("", "ada")))
	require.Empty(t, v.OK("/user"))
	require.Empty(t, second.alive())
}

// TestG15_RedisOutage: 503, and the token can be sent again.
func TestG15_RedisOutage(t *testing.T) {
	s := redistest.Start(t, "appendonly yes", "appendfsync always")
	p := newIDP(t)
	a := onRedis(t, s, p)
	v := newVisitor(t, a, p)
	v.logIn()
	token := p.logoutToken("sid-1", "ada")
	s.Kill()
	w := a.postForm("logout_token="+token, "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	s.Restart()
	require.Eventually(t, func() bool { return a.bridge.Ping(t.Context()) == nil }, time.Minute, 20*time.Millisecond)
	require.Equal(t, http.StatusOK, a.post(token))
	require.Empty(t, v.OK("/user"))
}

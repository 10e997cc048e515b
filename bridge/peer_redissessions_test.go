package bridge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// What users of redis-sessions, rest-sessions and connect-redis-sessions have, and docs/features.md lists. Its faults are in fault_redis_test.go.

func TestPeerRedisSessions_CreateGetSetKillKillAll(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/login?user=user1001") // create
	id := br.ok("/id")
	require.NotEmpty(t, br.cookie("sid"), "the token, which only the browser has")

	require.NoError(t, a.MergeByID(t.Context(), id, map[string]any{"foo": "bar", "unread_msgs": 34})) // set
	require.NoError(t, a.MergeByID(t.Context(), id, map[string]any{"unread_msgs": nil, "last_action": "/read/news"}))
	s, err := a.GetByID(t.Context(), id) // get
	require.NoError(t, err)
	var d map[string]any
	require.NoError(t, s.Decode(&d))
	require.Equal(t, map[string]any{"foo": "bar", "last_action": "/read/news"}, d, "null deletes a key, what isn't named stays")
	require.Equal(t, "user1001", s.UserID())

	for _, was := range []bool{true, false} { // kill: 1, then 0
		killed, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, was, killed)
	}
	br.ok("/inc")
	require.NotEqual(t, id, br.ok("/id"), "its token opens nothing any more")
	newBrowser(t, a.serve(t)).ok("/inc")
	n, err := a.DestroyAll(t.Context()) // killall
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestPeerRedisSessions_LogoutRemovesTheCookie(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/login?user=ada")
	require.NotEmpty(t, br.cookie("sid"))
	br.ok("/logout")
	require.Empty(t, br.cookie("sid"))
}

func TestPeerRedisSessions_MetadataOfAListedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), &bridge.Options{IdleTimeout: 2 * time.Hour, TrustedProxies: []string{"192.0.2.1"}})
		p, h := pocket{}, a.Handler(a.mux)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login?user=bulkuser_999", nil) // from 192.0.2.1
		r.Header.Set("X-Forwarded-For", "198.51.100.7")
		p.send(h, r)
		before := listed(t, a.Bridge, bridge.Filter{UserID: "bulkuser_999"})[0]
		p.get(t, h, "/get")
		p.get(t, h, "/inc")
		time.Sleep(21 * time.Second)
		info := listed(t, a.Bridge, bridge.Filter{ActiveWithin: 10 * time.Minute})[0] // soapp; soid above
		require.Greater(t, info.Reads, before.Reads, "r")
		require.Equal(t, before.Writes+1, info.Writes, "w")
		require.Equal(t, 21*time.Second, time.Since(info.Seen), "idle")
		require.Equal(t, 2*time.Hour, info.Idle, "ttl")
		require.Equal(t, "198.51.100.7", info.Addr, "ip")
		require.Equal(t, p.get(t, h, "/id").Body.String(), info.ID, "and what redis-sessions leaves out: a handle to end it by")
	})
}

// no_resave: what reads it doesn't extend it, and what it ends with is exact.
func TestPeerRedisSessions_NoResaveEndsExactlyAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		a.session("/fixed", func(s *bridge.Session) (any, error) {
			s.SetIdleTimeout(bridge.Off)
			s.SetLifetime(2 * time.Hour)
			return increment(t.Context(), s)
		})
		p, h, begin := pocket{}, a.Handler(a.mux), time.Now()
		require.Equal(t, "1", p.get(t, h, "/fixed").Body.String())
		for range 100 {
			time.Sleep(time.Minute)
			require.Equal(t, "1", p.get(t, h, "/get").Body.String(), "reads take nothing off")
		}
		time.Sleep(time.Until(begin.Add(2*time.Hour - time.Millisecond)))
		require.Equal(t, "1", p.get(t, h, "/get").Body.String())
		time.Sleep(time.Millisecond)
		require.Equal(t, "0", p.get(t, h, "/get").Body.String(), "reads add nothing")
	})
}

// What its users asked for: another ttl for a session that is there.
func TestPeerRedisSessions_TTLCanBeChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		p, h := pocket{}, a.Handler(a.mux)
		p.get(t, h, "/inc")
		id := p.get(t, h, "/id").Body.String()
		require.NoError(t, a.SetByID(t.Context(), id, map[string]any{"n": 1}, 10*time.Minute))
		require.Equal(t, 10*time.Minute, listed(t, a.Bridge, bridge.Filter{})[0].Idle)
		time.Sleep(9 * time.Minute)
		require.Equal(t, "1", p.get(t, h, "/get").Body.String())
		time.Sleep(12 * time.Minute)
		require.Equal(t, "0", p.get(t, h, "/get").Body.String())
	})
}

// upgrade: who logs in keeps what was collected before, under a new token.
func TestPeerRedisSessions_AnonymousUntilLogin(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	require.Equal(t, "0", br.ok("/get"))
	require.Empty(t, br.cookie("sid"), "nothing to keep, nothing stored")
	br.ok("/inc")
	id, token := br.ok("/id"), br.cookie("sid")
	require.Empty(t, listed(t, a.Bridge, bridge.Filter{})[0].UserID)
	br.ok("/login?user=ada")
	require.Equal(t, "1", br.ok("/get"))
	require.Equal(t, id, br.ok("/id"))
	require.NotEqual(t, token, br.cookie("sid"))
	require.Equal(t, []string{id}, listedIDs(t, a.Bridge, bridge.Filter{UserID: "ada"}))
}

func TestPeerRedisSessions_SavedOnlyIfChanged(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	a.session("/read", func(s *bridge.Session) (any, error) { n, _ := count.Get(s); return n, nil })
	a.session("/same", func(s *bridge.Session) (any, error) { count.Set(s, 1); return "same", nil })
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	ws := br.dial("/ws")
	before := st.count("Set")
	for _, path := range []string{"/plain", "/read", "/same"} {
		br.ok(path)
	}
	require.Equal(t, "1", ws.ask("get"))
	require.Equal(t, before, st.count("Set"))
	br.ok("/inc")
	require.Equal(t, before+1, st.count("Set"))
}

func TestPeerRedisSessions_Ping(t *testing.T) {
	st := newFaultyStore()
	b := newBridge(t, st, nil)
	require.NoError(t, b.Ping(t.Context()))
	st.next(1, "Ping", refuse(errStore))
	err := b.Ping(t.Context())
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.ErrorIs(t, err, errStore)
	require.NoError(t, b.Ping(t.Context()), "and its end is seen, too")
}

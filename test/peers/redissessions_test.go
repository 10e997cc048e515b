package peers_test

import (
	"net/http"
	"net/http/httptest"
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

// The features of redis-sessions, rest-sessions and connect-redis-sessions, as docs/features.md
// lists them. Their faults are in redis_fault_test.go.

func TestPeerRedisSessions_CreateGetSetKillKillAll(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=user1001") // create
	id := br.OK("/id")
	require.NotEmpty(t, br.Cookie("sid"), "the token, which only the browser has")

	require.NoError(t, testkit.Merge(t.Context(), a.Bridge, id, map[string]any{"foo": "bar", "unread_msgs": 34})) // set
	s, err := a.MergeByID(t.Context(), id, map[string]any{"unread_msgs": nil, "last_action": "/read/news"})       // and get
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
	br.OK("/inc")
	require.NotEqual(t, id, br.OK("/id"), "its token opens nothing any more")
	webclient.NewBrowser(t, a.Serve(t)).OK("/inc")
	n, err := a.DestroyAll(t.Context()) // killall
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestPeerRedisSessions_LogoutRemovesTheCookie(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=ada")
	require.NotEmpty(t, br.Cookie("sid"))
	br.OK("/logout")
	require.Empty(t, br.Cookie("sid"))
}

func TestPeerRedisSessions_MetadataOfAListedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{IdleTimeout: 2 * time.Hour, TrustedProxies: []string{"192.0.2.1"}})
		p, h := webclient.Pocket{}, a.Handler(a.Mux)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login?user=bulkuser_999", nil) // from 192.0.2.1
		r.Header.Set("X-Forwarded-For", "198.51.100.7")
		p.Send(h, r)
		before := testkit.Listed(t, a.Bridge, bridge.Filter{UserID: "bulkuser_999"})[0]
		p.Get(t, h, "/get")
		p.Get(t, h, "/inc")
		time.Sleep(21 * time.Second)
		info := testkit.Listed(t, a.Bridge, bridge.Filter{ActiveWithin: 10 * time.Minute})[0] // soapp; soid above
		require.Greater(t, info.ReadsHere, before.ReadsHere, "r")
		require.Equal(t, before.Writes+1, info.Writes, "w")
		require.Equal(t, 21*time.Second, time.Since(info.Seen), "idle")
		require.Equal(t, 2*time.Hour, info.Idle, "ttl")
		require.Equal(t, "198.51.100.7", info.Addr, "ip")
		require.Equal(t, p.Get(t, h, "/id").Body.String(), info.ID, "and what redis-sessions leaves out: a handle to end it by")
	})
}

// no_resave: reads don't extend the session, and it ends exactly on time.
func TestPeerRedisSessions_NoResaveEndsExactlyAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.SessionPage("/fixed", func(s *bridge.Session) (any, error) {
			s.SetIdleTimeout(bridge.Off)
			s.SetLifetime(2 * time.Hour)
			return testkit.Increment(t.Context(), s)
		})
		p, h, begin := webclient.Pocket{}, a.Handler(a.Mux), time.Now()
		require.Equal(t, "1", p.Get(t, h, "/fixed").Body.String())
		for range 100 {
			time.Sleep(time.Minute)
			require.Equal(t, "1", p.Get(t, h, "/get").Body.String(), "reads take nothing off")
		}
		time.Sleep(time.Until(begin.Add(2*time.Hour - time.Millisecond)))
		require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
		time.Sleep(time.Millisecond)
		require.Equal(t, "0", p.Get(t, h, "/get").Body.String(), "reads add nothing")
	})
}

// Its users asked for a way to change the TTL of an existing session.
func TestPeerRedisSessions_TTLCanBeChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		p, h := webclient.Pocket{}, a.Handler(a.Mux)
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		require.NoError(t, a.SetByID(t.Context(), id, map[string]any{"n": 1}, 10*time.Minute))
		require.Equal(t, 10*time.Minute, testkit.Listed(t, a.Bridge, bridge.Filter{})[0].Idle)
		time.Sleep(9 * time.Minute)
		require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
		time.Sleep(12 * time.Minute)
		require.Equal(t, "0", p.Get(t, h, "/get").Body.String())
	})
}

// upgrade: a login keeps the values from before, under a new token.
func TestPeerRedisSessions_AnonymousUntilLogin(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	require.Equal(t, "0", br.OK("/get"))
	require.Empty(t, br.Cookie("sid"), "nothing to keep, nothing stored")
	br.OK("/inc")
	id, token := br.OK("/id"), br.Cookie("sid")
	require.Empty(t, testkit.Listed(t, a.Bridge, bridge.Filter{})[0].UserID)
	br.OK("/login?user=ada")
	require.Equal(t, "1", br.OK("/get"))
	require.Equal(t, id, br.OK("/id"))
	require.NotEqual(t, token, br.Cookie("sid"))
	require.Equal(t, []string{id}, testkit.ListedIDs(t, a.Bridge, bridge.Filter{UserID: "ada"}))
}

func TestPeerRedisSessions_SavedOnlyIfChanged(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	a.SessionPage("/read", func(s *bridge.Session) (any, error) { n, _ := testkit.Count.Get(s); return n, nil })
	a.SessionPage("/same", func(s *bridge.Session) (any, error) { testkit.Count.Set(s, 1); return "same", nil })
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws := br.Dial("/ws")
	before := st.Count("Set")
	for _, path := range []string{"/plain", "/read", "/same"} {
		br.OK(path)
	}
	require.Equal(t, "1", ws.Ask("get"))
	require.Equal(t, before, st.Count("Set"))
	br.OK("/inc")
	require.Equal(t, before+1, st.Count("Set"))
}

func TestPeerRedisSessions_Ping(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	require.NoError(t, b.Ping(t.Context()))
	st.Next(1, "Ping", teststore.Refuse(teststore.ErrDiskFull))
	err := b.Ping(t.Context())
	require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	require.ErrorIs(t, err, teststore.ErrDiskFull)
	require.NoError(t, b.Ping(t.Context()), "and its end is seen, too")
}

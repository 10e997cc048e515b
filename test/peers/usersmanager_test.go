package peers_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The features of users-session-manager, as docs/features.md lists them. Its faults are in
// redis_fault_test.go.

// lastWords is the message that its applications send at a logout.
func lastWords(e bridge.SessionDestroy) []byte { return fmt.Appendf(nil, `{"logout":%q}`, e.Reason) }

func TestPeerUsersSessionManager_EventsOfASessionsLife(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{LastMessage: lastWords})
	created, deleted, failed := make(chan string, 10), make(chan string, 10), make(chan bridge.Failure, 10)
	a.OnSessionSet(func(e bridge.SessionSet) {
		if e.IsNew {
			created <- e.SessionID
		}
	})
	a.OnSessionDestroy(func(e bridge.SessionDestroy) { deleted <- e.SessionID })
	a.OnFailure(func(f bridge.Failure) { failed <- f })
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/login?user=Luca")
	id := br.OK("/id")
	require.Equal(t, id, await.Receive(t, created))
	ws := br.Dial("/ws")
	ws.Ask("id")

	st.Next(1, "Set", teststore.Refuse(teststore.ErrDiskFull))
	require.Equal(t, 503, br.Get("/login?user=Luca").Status)
	require.ErrorIs(t, await.Receive(t, failed).Err, teststore.ErrDiskFull)

	_, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, id, await.Receive(t, deleted))
	require.Equal(t, `{"logout":"destroyed"}`, ws.Hear(), "notifyClientToLogout")
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
	require.Empty(t, created)
	require.Empty(t, failed)
}

func TestPeerUsersSessionManager_ExpiryPushesTheLogoutToTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 6 * time.Second
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{IdleTimeout: timeout, LastMessage: lastWords})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/login?user=Luca")
		begin := time.Now()
		ws := br.Dial("/ws").Listen()
		text, err := ws.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, `{"logout":"expired"}`, text)
		require.Equal(t, bridge.CodeExpired, ws.ClosedEventually())
		require.WithinRange(t, time.Now(), begin.Add(timeout), begin.Add(timeout+timeout/10+time.Second))
	})
}

func TestPeerUsersSessionManager_RestartedTimerKeepsTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{IdleTimeout: 10 * time.Minute})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/login?user=Luca")
		id := br.OK("/id")
		code := br.Dial("/ws").Listen().WhenClosed()
		for range 10 {
			time.Sleep(9 * time.Minute)
			require.NoError(t, a.TouchByID(t.Context(), id))
			require.Empty(t, code)
		}
		time.Sleep(12 * time.Minute)
		require.Equal(t, bridge.CodeExpired, await.Receive(t, code))
		require.ErrorIs(t, a.TouchByID(t.Context(), id), bridge.ErrSessionMissing)
	})
}

func TestPeerUsersSessionManager_DataAndDetails(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	before := time.Now().Truncate(time.Millisecond)
	_, id := testkit.SignIn(t, a.Handler(a.Mux), "Fabio")
	require.NoError(t, a.SetByID(t.Context(), id, map[string]any{"actions": []string{"logged in"}}, 0))
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	actions, ok := s.Get("actions")
	require.True(t, ok)
	require.Equal(t, []any{"logged in"}, actions)
	require.Equal(t, "Fabio", s.UserID())
	require.WithinRange(t, s.Created(), before, time.Now())
	require.True(t, s.Expires().After(time.Now()))
	_, err = a.GetByID(t.Context(), "123456789_123456789")
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.ErrorIs(t, a.SetByID(t.Context(), "123456789_123456789", nil, 0), bridge.ErrSessionMissing)
}

func TestPeerUsersSessionManager_LoggedInUsers(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	for _, user := range []string{"Luca", "Fabio", "Luca"} {
		testkit.SignIn(t, h, user)
	}
	p, _ := testkit.SignIn(t, h, "Gino")
	p.Get(t, h, "/logout")
	webclient.Pocket{}.Get(t, h, "/inc") // without a user
	users := map[string]int{}
	for info, err := range a.Sessions(t.Context(), bridge.Filter{}) {
		require.NoError(t, err)
		if info.UserID != "" {
			users[info.UserID]++
		}
	}
	require.Equal(t, map[string]int{"Luca": 2, "Fabio": 1}, users)
	activity, err := a.Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{Users: 2, Sessions: 4}, activity)
}

// A gauge that changes with the events, as in the peer, and the counters that need no events.
func TestPeerUsersSessionManager_CountersForMetrics(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	var gauge atomic.Int64
	a.Observe(bridge.Observer{
		SessionSet: func(e bridge.SessionSet) {
			if e.IsNew {
				gauge.Add(1)
			}
		},
		SessionDestroy: func(bridge.SessionDestroy) { gauge.Add(-1) },
	})
	site := a.Serve(t)
	luca, fabio, gino := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	for _, br := range []*webclient.Browser{luca, fabio, gino} {
		br.OK("/login?user=someone")
	}
	luca.Dial("/ws").Ask("id")
	gino.OK("/logout")
	require.Eventually(t, func() bool { return gauge.Load() == 2 }, await.Limit, time.Millisecond)
	stats := a.Stats()
	require.Equal(t, 2, stats.Attached)
	require.Equal(t, 1, stats.Conns)
	require.EqualValues(t, 3, stats.Writes)
	require.Zero(t, stats.StoreErrors)
	_, err := a.DestroyAll(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return gauge.Load() == 0 && a.Stats().Attached == 0 && a.Stats().Conns == 0 }, await.Limit, time.Millisecond)
}

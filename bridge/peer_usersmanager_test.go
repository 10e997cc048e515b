package bridge_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// What users of users-session-manager have, and docs/features.md lists. Its faults are in fault_redis_test.go.

// lastWords is the message that it has an application push at a logout.
func lastWords(e bridge.SessionDestroy) []byte { return fmt.Appendf(nil, `{"logout":%q}`, e.Reason) }

func TestPeerUsersSessionManager_EventsOfASessionsLife(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, &bridge.Options{LastMessage: lastWords})
	created, deleted, failed := make(chan string, 10), make(chan string, 10), make(chan bridge.Failure, 10)
	a.OnSessionSet(func(e bridge.SessionSet) {
		if e.IsNew {
			created <- e.SessionID
		}
	})
	a.OnSessionDestroy(func(e bridge.SessionDestroy) { deleted <- e.SessionID })
	a.OnFailure(func(f bridge.Failure) { failed <- f })
	br := newBrowser(t, a.serve(t))
	br.ok("/login?user=Luca")
	id := br.ok("/id")
	require.Equal(t, id, receive(t, created))
	ws := br.dial("/ws")
	ws.ask("id")

	st.next(1, "Set", refuse(errStore))
	require.Equal(t, 503, br.get("/login?user=Luca").status)
	require.ErrorIs(t, receive(t, failed).Err, errStore)

	_, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, id, receive(t, deleted))
	require.Equal(t, `{"logout":"destroyed"}`, ws.hear(), "notifyClientToLogout")
	require.Equal(t, bridge.CodeDestroyed, ws.closed())
	require.Empty(t, created)
	require.Empty(t, failed)
}

func TestPeerUsersSessionManager_ExpiryPushesTheLogoutToTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 6 * time.Second
		a := makeApp(t, livestore.New(), &bridge.Options{IdleTimeout: timeout, LastMessage: lastWords})
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/login?user=Luca")
		begin := time.Now()
		ws := br.dial("/ws").listen()
		text, err := ws.read(t.Context())
		require.NoError(t, err)
		require.Equal(t, `{"logout":"expired"}`, text)
		require.Equal(t, bridge.CodeExpired, ws.closedEventually())
		require.WithinRange(t, time.Now(), begin.Add(timeout), begin.Add(timeout+timeout/10+time.Second))
	})
}

func TestPeerUsersSessionManager_RestartedTimerKeepsTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), &bridge.Options{IdleTimeout: 10 * time.Minute})
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/login?user=Luca")
		id := br.ok("/id")
		code := br.dial("/ws").listen().whenClosed()
		for range 10 {
			time.Sleep(9 * time.Minute)
			require.NoError(t, a.TouchByID(t.Context(), id))
			require.Empty(t, code)
		}
		time.Sleep(12 * time.Minute)
		require.Equal(t, bridge.CodeExpired, receive(t, code))
		require.ErrorIs(t, a.TouchByID(t.Context(), id), bridge.ErrSessionMissing)
	})
}

func TestPeerUsersSessionManager_DataAndDetails(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	before := time.Now().Truncate(time.Millisecond)
	_, id := signIn(t, a.Handler(a.mux), "Fabio")
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
	a := makeApp(t, livestore.New(), nil)
	h := a.Handler(a.mux)
	for _, user := range []string{"Luca", "Fabio", "Luca"} {
		signIn(t, h, user)
	}
	p, _ := signIn(t, h, "Gino")
	p.get(t, h, "/logout")
	pocket{}.get(t, h, "/inc") // nobody
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

// A gauge that goes up and down with the events, as its users have it, and the counters that need no events.
func TestPeerUsersSessionManager_CountersForMetrics(t *testing.T) {
	t.Parallel()
	a := makeApp(t, livestore.New(), nil)
	var gauge atomic.Int64
	a.Observe(bridge.Observer{
		SessionSet: func(e bridge.SessionSet) {
			if e.IsNew {
				gauge.Add(1)
			}
		},
		SessionDestroy: func(bridge.SessionDestroy) { gauge.Add(-1) },
	})
	site := a.serve(t)
	luca, fabio, gino := newBrowser(t, site), newBrowser(t, site), newBrowser(t, site)
	for _, br := range []*browser{luca, fabio, gino} {
		br.ok("/login?user=someone")
	}
	luca.dial("/ws").ask("id")
	gino.ok("/logout")
	require.Eventually(t, func() bool { return gauge.Load() == 2 }, patience, time.Millisecond)
	stats := a.Stats()
	require.Equal(t, 2, stats.Attached)
	require.Equal(t, 1, stats.Conns)
	require.EqualValues(t, 3, stats.Writes)
	require.Zero(t, stats.StoreErrors)
	_, err := a.DestroyAll(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return gauge.Load() == 0 && a.Stats().Attached == 0 && a.Stats().Conns == 0 }, patience, time.Millisecond)
}

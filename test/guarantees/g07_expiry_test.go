package guarantees_test

import (
	"context"
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

func TestG7_ExpiryIsOnTime_IdleSocketIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
		one, two := br.Dial("/ws").Listen(), br.Dial("/ws").Listen()
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, one.ClosedEventually())
		require.Equal(t, bridge.CodeExpired, two.ClosedEventually())
		require.GreaterOrEqual(t, time.Since(start), testkit.Idle)
		require.LessOrEqual(t, time.Since(start), testkit.Idle+testkit.Touch+time.Second)
		require.Equal(t, bridge.ReasonExpired, ended.Next().Reason)
	})
}

func TestG7_ExpiryIsOnTime_MessagesKeepTheSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/ws").Listen()
		for range 40 { // every gap is shorter than the timeout, at the worst times relative to the touch interval
			time.Sleep(testkit.Idle - time.Second)
			require.NotContains(t, ws.Ask("id"), `""`)
			time.Sleep(testkit.Touch - time.Second)
			ws.Say("id")
			ws.Hear()
		}
		last := time.Now()
		require.Equal(t, bridge.CodeExpired, ws.ClosedEventually())
		require.GreaterOrEqual(t, time.Since(last), testkit.Idle)
		require.LessOrEqual(t, time.Since(last), testkit.Idle+testkit.Touch+time.Second)
	})
}

func TestG7_ExpiryIsOnTime_PingsDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/ws")
		start := time.Now()
		code := make(chan int, 1)
		go func() { code <- ws.ClosedEventually() }()
		for ws.Conn.Ping(t.Context()) == nil {
			time.Sleep(time.Minute)
		}
		require.Equal(t, bridge.CodeExpired, <-code)
		require.LessOrEqual(t, time.Since(start), testkit.Idle+2*testkit.Touch+time.Second)
	})
}

func TestG7_ExpiryIsOnTime_LifetimeEndsWhateverTheActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(time.Hour))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		start := time.Now()
		br.OK("/inc")
		ws := br.Dial("/ws").Listen()
		id := br.OK("/id")
		for time.Since(start) < 55*time.Minute {
			time.Sleep(5 * time.Minute)
			br.OK("/inc")
			ws.Ask("inc")
		}
		require.Equal(t, bridge.CodeExpired, ws.ClosedEventually())
		require.InDelta(t, time.Hour, time.Since(start), float64(time.Second))
		require.NotEqual(t, id, br.OK("/id"))
	})
}

func TestG7_ExpiryIsOnTime_EnforcedAtTheMomentOfUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, testkit.Expiring(0))
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		time.Sleep(testkit.Idle + testkit.Touch - time.Second)
		require.NoError(t, a.UpdateByID(t.Context(), id, func(context.Context, *bridge.Session) error { return nil }))
		time.Sleep(2 * time.Second)
		require.Zero(t, st.Count("Sweep"))
		_, err := a.GetByID(t.Context(), id)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
		require.Equal(t, "0", p.Get(t, h, "/get").Body.String())
		require.NotEqual(t, id, p.Get(t, h, "/id").Body.String())
	})
}

func TestG7_ExpiryIsOnTime_ShorterTimeoutReachesOpenSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(0))
		a.SessionPage("/short", func(s *bridge.Session) (any, error) { s.SetIdleTimeout(time.Minute); return "ok", nil })
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/ws")
		br.OK("/short")
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, ws.ClosedEventually())
		require.LessOrEqual(t, time.Since(start), time.Minute+6*time.Second+time.Second)
	})
}

func TestG7_ExpiryIsOnTime_OneTouchPerIntervalWhateverTheTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, testkit.Expiring(0))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws, other := br.Dial("/ws"), br.Dial("/ws")
		for range 5 * 60 { // five minutes of two tabs and pages
			time.Sleep(time.Second)
			ws.Ask("id")
			other.Ask("get")
			br.OK("/get")
		}
		synctest.Wait()
		require.LessOrEqual(t, st.Count("Touch"), 5)
		require.GreaterOrEqual(t, st.Count("Touch"), 4)
	})
}

func TestG7_ExpiryIsOnTime_CleanupRunsByItselfAndReportsEachEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := testkit.NewApp(t, st, &bridge.Options{IdleTimeout: testkit.Idle, TouchInterval: testkit.Touch})
		h := a.Handler(a.Mux)
		ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
		cleaned := testkit.Record[bridge.Cleanup](t, a.Bridge)
		for range 700 {
			webclient.Pocket{}.Get(t, h, "/inc")
		}
		keep := webclient.Pocket{}
		keep.Get(t, h, "/inc")
		for range 3 {
			time.Sleep(testkit.Idle - testkit.Touch)
			keep.Get(t, h, "/inc")
		}
		synctest.Wait()
		require.Equal(t, 1, teststore.StoredCount(t, st))
		require.Len(t, ended.Rest(), 700)
		total := 0
		for _, c := range cleaned.Rest() {
			total += c.Cleared
		}
		require.Equal(t, 700, total)
		require.Equal(t, 1, a.Stats().Attached, "the map follows")
	})
}

package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

const (
	idle  = 10 * time.Minute
	touch = time.Minute // the longest time for which activity may go unrecorded
)

// closedEventually is closed without a limit, for a bubble: there every wait ends, or the test does.
func (s *socket) closedEventually() int {
	for {
		if _, err := s.read(context.Background()); err != nil {
			return int(websocket.CloseStatus(err))
		}
	}
}

func expiring(lifetime time.Duration) *bridge.Options {
	return &bridge.Options{IdleTimeout: idle, TouchInterval: touch, Lifetime: lifetime, AutoCleanup: bridge.Off}
}

func TestG7_ExpiryIsOnTime_IdleSocketIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), expiring(0))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ended := record[bridge.SessionDestroy](t, a.Bridge)
		one, two := br.dial("/ws").listen(), br.dial("/ws").listen()
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, one.closedEventually())
		require.Equal(t, bridge.CodeExpired, two.closedEventually())
		require.GreaterOrEqual(t, time.Since(start), idle)
		require.LessOrEqual(t, time.Since(start), idle+touch+time.Second)
		require.Equal(t, bridge.ReasonExpired, ended.next().Reason)
	})
}

func TestG7_ExpiryIsOnTime_MessagesKeepTheSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), expiring(0))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/ws").listen()
		for range 40 { // every gap is shorter than the timeout, in the worst phase to the touch interval
			time.Sleep(idle - time.Second)
			require.NotContains(t, ws.ask("id"), `""`)
			time.Sleep(touch - time.Second)
			ws.say("id")
			ws.hear()
		}
		last := time.Now()
		require.Equal(t, bridge.CodeExpired, ws.closedEventually())
		require.GreaterOrEqual(t, time.Since(last), idle)
		require.LessOrEqual(t, time.Since(last), idle+touch+time.Second)
	})
}

func TestG7_ExpiryIsOnTime_PingsDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), expiring(0))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/ws")
		start := time.Now()
		code := make(chan int, 1)
		go func() { code <- ws.closedEventually() }()
		for ws.ws.Ping(t.Context()) == nil {
			time.Sleep(time.Minute)
		}
		require.Equal(t, bridge.CodeExpired, <-code)
		require.LessOrEqual(t, time.Since(start), idle+2*touch+time.Second)
	})
}

func TestG7_ExpiryIsOnTime_LifetimeEndsWhateverTheActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), expiring(time.Hour))
		br := newBrowser(t, a.serveInMemory(t))
		start := time.Now()
		br.ok("/inc")
		ws := br.dial("/ws").listen()
		id := br.ok("/id")
		for time.Since(start) < 55*time.Minute {
			time.Sleep(5 * time.Minute)
			br.ok("/inc")
			ws.ask("inc")
		}
		require.Equal(t, bridge.CodeExpired, ws.closedEventually())
		require.InDelta(t, time.Hour, time.Since(start), float64(time.Second))
		require.NotEqual(t, id, br.ok("/id"))
	})
}

func TestG7_ExpiryIsOnTime_EnforcedAtTheMomentOfUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, expiring(0))
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		id := p.get(t, h, "/id").Body.String()
		time.Sleep(idle + touch - time.Second)
		require.NoError(t, a.UpdateByID(t.Context(), id, func(context.Context, *bridge.Session) error { return nil }))
		time.Sleep(2 * time.Second)
		require.Zero(t, st.count("Sweep"))
		_, err := a.GetByID(t.Context(), id)
		require.ErrorIs(t, err, bridge.ErrSessionMissing)
		require.Equal(t, "0", p.get(t, h, "/get").Body.String())
		require.NotEqual(t, id, p.get(t, h, "/id").Body.String())
	})
}

func TestG7_ExpiryIsOnTime_ShorterTimeoutReachesOpenSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), expiring(0))
		a.session("/short", func(s *bridge.Session) (any, error) { s.SetIdleTimeout(time.Minute); return "ok", nil })
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/ws")
		br.ok("/short")
		start := time.Now()
		require.Equal(t, bridge.CodeExpired, ws.closedEventually())
		require.LessOrEqual(t, time.Since(start), time.Minute+6*time.Second+time.Second)
	})
}

func TestG7_ExpiryIsOnTime_OneTouchPerIntervalWhateverTheTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, expiring(0))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws, other := br.dial("/ws"), br.dial("/ws")
		for range 5 * 60 { // five minutes of two tabs and pages
			time.Sleep(time.Second)
			ws.ask("id")
			other.ask("get")
			br.ok("/get")
		}
		synctest.Wait()
		require.LessOrEqual(t, st.count("Touch"), 5)
		require.GreaterOrEqual(t, st.count("Touch"), 4)
	})
}

func TestG7_ExpiryIsOnTime_CleanupRunsByItselfAndReportsEachEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a := makeApp(t, st, &bridge.Options{IdleTimeout: idle, TouchInterval: touch})
		h := a.Handler(a.mux)
		ended := record[bridge.SessionDestroy](t, a.Bridge)
		cleaned := record[bridge.Cleanup](t, a.Bridge)
		for range 700 {
			pocket{}.get(t, h, "/inc")
		}
		keep := pocket{}
		keep.get(t, h, "/inc")
		for range 3 {
			time.Sleep(idle - touch)
			keep.get(t, h, "/inc")
		}
		synctest.Wait()
		require.Equal(t, 1, storedCount(t, st))
		require.Len(t, ended.rest(), 700)
		total := 0
		for _, c := range cleaned.rest() {
			total += c.Cleared
		}
		require.Equal(t, 700, total)
		require.Equal(t, 1, a.Stats().Attached, "the map follows")
	})
}

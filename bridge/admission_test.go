package bridge_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// refusedFor is after how many seconds a refused handshake may come back; 0 for one that was let in.
func refusedFor(t *testing.T, br *browser, path string) int {
	t.Helper()
	s, res, err := br.tryDial(path, nil)
	if err == nil {
		s.whenClosed()
		return 0
	}
	require.NotNil(t, res, "%v", err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	seconds := atoi(t, res.Header.Get("Retry-After"))
	require.Positive(t, seconds)
	return seconds
}

func TestHandshakesBeyondThoseUnderWayAreRefused(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, &bridge.Options{MaxHandshakes: 2})
	site := a.serve(t)
	var brs []*browser
	for range 3 {
		br := newBrowser(t, site)
		br.ok("/inc")
		brs = append(brs, br)
	}
	slow := newGate()
	st.always(slow.wait, "Get")
	var opened sync.WaitGroup
	for _, br := range brs[:2] {
		opened.Go(func() { br.dial("/ws").ask("id") })
	}
	receive(t, slow.reached)
	receive(t, slow.reached)
	gets := st.count("Get")
	refusedFor(t, brs[2], "/ws")
	require.Equal(t, gets, st.count("Get"), "refused before the store is asked")
	require.EqualValues(t, 1, a.Stats().Overloaded)
	close(slow.opened)
	opened.Wait()
	for range 5 { // a handshake is over when its connection is open
		brs[2].dial("/ws").ask("id")
	}
}

func TestHandshakesThatFailAreOver(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, &bridge.Options{MaxHandshakes: 1})
	a.mux.Handle("/refuse", a.WebSocket(converse, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
	br := newBrowser(t, a.serve(t))
	for range 3 {
		_, res, err := br.tryDial("/refuse", nil)
		require.Error(t, err)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		require.NotEqual(t, http.StatusOK, br.get("/refuse").status, "no upgrade at all")
	}
	br.ok("/inc")
	st.always(refuse(errOutage), "Get")
	_, _, err := br.tryDial("/ws", nil)
	require.Error(t, err)
	st.heal()
	br.dial("/ws").ask("id")
	require.Zero(t, a.Stats().Overloaded)
}

func TestHandshakesBeyondTheirRateAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), &bridge.Options{HandshakesPerSecond: 2, HandshakeBurst: 3})
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		for range 3 {
			require.Zero(t, refusedFor(t, br, "/ws"))
		}
		require.NotZero(t, refusedFor(t, br, "/ws"))
		for range 10 {
			time.Sleep(500 * time.Millisecond)
			require.Zero(t, refusedFor(t, br, "/ws"))
		}
		require.Equal(t, "2", br.ok("/inc"), "requests are not handshakes")
	})
}

// The server chooses when the refused come back: not all at once, and later the longer it is overloaded.
func TestRefusedHandshakesAreToldTimesThatSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), &bridge.Options{HandshakesPerSecond: 0.001, HandshakeBurst: 1})
		br := newBrowser(t, a.serveInMemory(t))
		require.Zero(t, refusedFor(t, br, "/ws"))
		round := func() (distinct, latest int) {
			seen := map[int]bool{}
			for range 50 {
				s := refusedFor(t, br, "/ws")
				seen[s] = true
				latest = max(latest, s)
			}
			return len(seen), latest
		}
		distinct, latest := round()
		require.Greater(t, distinct, 1)
		require.LessOrEqual(t, latest, 4)
		for range 60 {
			time.Sleep(time.Second)
			refusedFor(t, br, "/ws")
		}
		distinct, latest = round()
		require.Greater(t, distinct, 15)
		require.Greater(t, latest, 30)
		require.LessOrEqual(t, latest, 61)
		time.Sleep(10 * time.Minute)
		_, _ = br.get("/plain"), refusedFor(t, br, "/ws")
		_, latest = round()
		require.LessOrEqual(t, latest, 4, "the overload was over")
	})
}

func TestAttachIsAHandshake(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, &bridge.Options{HandshakesPerSecond: 0.001, HandshakeBurst: 1})
	a.page("/attach", func(r *http.Request) (any, error) {
		link, err := a.Attach(r, func(int, string) {})
		if err != nil {
			require.ErrorIs(t, err, bridge.ErrOverloaded)
			return nil, err
		}
		link.Detach()
		return "attached", nil
	})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	br.ok("/attach")
	gets := st.count("Get")
	require.Equal(t, http.StatusServiceUnavailable, br.get("/attach").status)
	require.Equal(t, gets, st.count("Get"))
	require.Equal(t, bridge.CodeUnavailable, bridge.CloseCode(bridge.ErrOverloaded))
	require.EqualValues(t, 1, a.Stats().Overloaded)
}

func TestHandshakeLimitsCanBeSwitchedOff(t *testing.T) {
	for name, opts := range map[string]*bridge.Options{
		"off":   {MaxHandshakes: bridge.Off, HandshakesPerSecond: bridge.Off},
		"burst": {HandshakesPerSecond: 0.001, HandshakeBurst: bridge.Off},
	} {
		t.Run(name, func(t *testing.T) {
			a := makeApp(t, livestore.New(), opts)
			br := newBrowser(t, a.serve(t))
			for i := range 20 {
				require.Zero(t, refusedFor(t, br, "/ws"), strconv.Itoa(i))
			}
		})
	}
}

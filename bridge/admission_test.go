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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// refusedFor is after how many seconds a refused handshake may come back; 0 for one that was let
// in.
func refusedFor(t *testing.T, br *webclient.Browser, path string) int {
	t.Helper()
	s, res, err := br.TryDial(path, nil)
	if err == nil {
		s.WhenClosed()
		return 0
	}
	require.NotNil(t, res, "%v", err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	seconds := testkit.Atoi(t, res.Header.Get("Retry-After"))
	require.Positive(t, seconds)
	return seconds
}

func TestHandshakesBeyondThoseUnderWayAreRefused(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{MaxHandshakes: 2})
	site := a.Serve(t)
	var brs []*webclient.Browser
	for range 3 {
		br := webclient.NewBrowser(t, site)
		br.OK("/inc")
		brs = append(brs, br)
	}
	slow := teststore.NewGate()
	st.Always(slow.Wait, "Get")
	var opened sync.WaitGroup
	for _, br := range brs[:2] {
		opened.Go(func() { br.Dial("/ws").Ask("id") })
	}
	await.Receive(t, slow.Reached)
	await.Receive(t, slow.Reached)
	gets := st.Count("Get")
	refusedFor(t, brs[2], "/ws")
	require.Equal(t, gets, st.Count("Get"), "refused before the store is asked")
	require.EqualValues(t, 1, a.Stats().Overloaded)
	close(slow.Opened)
	opened.Wait()
	for range 5 { // a handshake is over when its connection is open
		brs[2].Dial("/ws").Ask("id")
	}
}

func TestHandshakesThatFailAreOver(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{MaxHandshakes: 1})
	a.Mux.Handle("/refuse", a.WebSocket(testkit.Converse, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
	br := webclient.NewBrowser(t, a.Serve(t))
	for range 3 {
		_, res, err := br.TryDial("/refuse", nil)
		require.Error(t, err)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		require.NotEqual(t, http.StatusOK, br.Get("/refuse").Status, "no upgrade at all")
	}
	br.OK("/inc")
	st.Always(teststore.Refuse(teststore.ErrOutage), "Get")
	_, _, err := br.TryDial("/ws", nil)
	require.Error(t, err)
	st.Heal()
	br.Dial("/ws").Ask("id")
	require.Zero(t, a.Stats().Overloaded)
}

func TestHandshakesBeyondTheirRateAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{HandshakesPerSecond: 2, HandshakeBurst: 3})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		for range 3 {
			require.Zero(t, refusedFor(t, br, "/ws"))
		}
		require.NotZero(t, refusedFor(t, br, "/ws"))
		for range 10 {
			time.Sleep(500 * time.Millisecond)
			require.Zero(t, refusedFor(t, br, "/ws"))
		}
		require.Equal(t, "2", br.OK("/inc"), "requests are not handshakes")
	})
}

// The server chooses when the refused come back: not all at once, and later the longer it is
// overloaded.
func TestRefusedHandshakesAreToldTimesThatSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{HandshakesPerSecond: 0.001, HandshakeBurst: 1})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
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
		_, _ = br.Get("/plain"), refusedFor(t, br, "/ws")
		_, latest = round()
		require.LessOrEqual(t, latest, 4, "the overload was over")
	})
}

func TestAttachIsAHandshake(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, &bridge.Options{HandshakesPerSecond: 0.001, HandshakeBurst: 1})
	a.Page("/attach", func(r *http.Request) (any, error) {
		link, err := a.Attach(r, func(int, string) {})
		if err != nil {
			require.ErrorIs(t, err, bridge.ErrOverloaded)
			return nil, err
		}
		link.Detach()
		return "attached", nil
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	br.OK("/attach")
	gets := st.Count("Get")
	require.Equal(t, http.StatusServiceUnavailable, br.Get("/attach").Status)
	require.Equal(t, gets, st.Count("Get"))
	require.Equal(t, bridge.CodeUnavailable, bridge.CloseCode(bridge.ErrOverloaded))
	require.EqualValues(t, 1, a.Stats().Overloaded)
}

func TestHandshakeLimitsCanBeSwitchedOff(t *testing.T) {
	for name, opts := range map[string]*bridge.Options{
		"off":   {MaxHandshakes: bridge.Off, HandshakesPerSecond: bridge.Off},
		"burst": {HandshakesPerSecond: 0.001, HandshakeBurst: bridge.Off},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), opts)
			br := webclient.NewBrowser(t, a.Serve(t))
			for i := range 20 {
				require.Zero(t, refusedFor(t, br, "/ws"), strconv.Itoa(i))
			}
		})
	}
}

package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// goodbye is how a connection learnt of the end.
type goodbye struct {
	after  time.Duration // since the Shutdown began
	code   int
	reason string
}

// returns is the promised form of the reason.
var returns = regexp.MustCompile(`^shutting down; retry after ([0-9]+) ms$`)

// wait returns the delay that the client is told, in milliseconds.
func (g goodbye) wait(t *testing.T) int {
	t.Helper()
	require.Equal(t, bridge.CodeShutdown, g.code)
	require.LessOrEqual(t, len(g.reason), 123)
	m := returns.FindStringSubmatch(g.reason)
	require.NotNil(t, m, g.reason)
	return testkit.Atoi(t, m[1])
}

// drained shuts a Bridge with n connections down, and returns how each of them ended. Within a
// bubble.
func drained(t *testing.T, n int, opts *bridge.Options, timeout time.Duration, meanwhile func(br *webclient.Browser)) (goodbyes []goodbye, took time.Duration, err error) {
	t.Helper()
	b, err := bridge.New(livestore.New(), opts)
	require.NoError(t, err)
	a := &testkit.App{Bridge: b, Mux: testkit.NewMux(b)}
	br := webclient.NewBrowser(t, a.ServeInMemory(t))
	br.OK("/inc")
	var start time.Time
	var mu sync.Mutex
	var readers sync.WaitGroup
	for range n {
		ws := br.Dial("/ws")
		readers.Go(func() {
			_, _, err := ws.Conn.Read(context.Background()) //nolint:usetesting // longer than the test's
			var closed websocket.CloseError
			errors.As(err, &closed)
			mu.Lock()
			defer mu.Unlock()
			goodbyes = append(goodbyes, goodbye{time.Since(start), int(closed.Code), closed.Reason})
		})
	}
	synctest.Wait()
	start = time.Now()
	if meanwhile != nil {
		readers.Go(func() { meanwhile(br) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	err = b.Shutdown(ctx)
	took = time.Since(start)
	readers.Wait()
	return goodbyes, took, err
}

func TestDrainSpreadsTheCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goodbyes, took, err := drained(t, 100, &bridge.Options{DrainOver: 10 * time.Second}, time.Minute, func(br *webclient.Browser) {
			time.Sleep(time.Second)
			_, res, err := br.TryDial("/ws", nil)
			require.Error(t, err)
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "refused from the beginning")
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			require.Equal(t, "2", br.OK("/inc"), "requests are served on")
		})
		require.NoError(t, err)
		require.Len(t, goodbyes, 100)
		seconds, waits := map[int]int{}, map[int]bool{}
		for _, g := range goodbyes {
			waits[g.wait(t)] = true
			seconds[int(g.after/time.Second)]++
		}
		require.Len(t, seconds, 10)
		for second, n := range seconds {
			require.InDelta(t, 10, n, 1, "in second %d", second)
		}
		require.Greater(t, len(waits), 80, "no two clients come back together, or few")
		require.GreaterOrEqual(t, took, 9*time.Second)
		require.LessOrEqual(t, took, 11*time.Second)
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goodbyes, took, err := drained(t, 50, &bridge.Options{DrainOver: time.Hour}, 10*time.Second, nil)
		require.NoError(t, err, "it leaves the time that the last closes take")
		require.Len(t, goodbyes, 50)
		for _, g := range goodbyes {
			g.wait(t)
		}
		require.LessOrEqual(t, took, 10*time.Second)
	})
}

func TestDrainOfNothingTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, took, err := drained(t, 0, &bridge.Options{DrainOver: time.Hour}, time.Minute, nil)
		require.NoError(t, err)
		require.Zero(t, took)
	})
}

func TestShutdownWithoutDrainClosesAllAtOnceAndSpreadsTheirReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goodbyes, took, err := drained(t, 100, nil, time.Minute, nil)
		require.NoError(t, err)
		waits := map[int]bool{}
		for _, g := range goodbyes {
			require.Zero(t, g.after)
			wait := g.wait(t)
			require.LessOrEqual(t, wait, 2000)
			waits[wait] = true
		}
		require.Greater(t, len(waits), 80)
		require.Less(t, took, time.Second)
	})
}

// The clients of a process that takes few handshakes are told to come back over as long as they
// need.
func TestShutdownSpreadsTheReturnOverWhatHandshakesTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goodbyes, _, err := drained(t, 100, &bridge.Options{HandshakesPerSecond: 5, HandshakeBurst: 100}, time.Minute, nil)
		require.NoError(t, err)
		latest := 0
		for _, g := range goodbyes {
			latest = max(latest, g.wait(t))
		}
		require.Greater(t, latest, 10_000)
		require.LessOrEqual(t, latest, 20_000)
	})
}

// Shutdown waits several times. What ends all of these waits is returned once.
func TestShutdownReturnsItsCauseOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		a := &testkit.App{Bridge: b, Mux: testkit.NewMux(b)}
		release := make(chan struct{})
		defer close(release)
		a.Mux.Handle("/hangs", b.WebSocket(func(context.Context, *bridge.Conn) error { <-release; return nil }, nil))
		webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/hangs").WhenClosed()
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, testkit.ErrApp)
		defer cancel()
		err = b.Shutdown(ctx)
		require.ErrorIs(t, err, testkit.ErrApp)
		require.EqualError(t, err, testkit.ErrApp.Error())
		require.EqualError(t, b.Shutdown(t.Context()), testkit.ErrApp.Error(), "of the first call")
	})
}

package bridge_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestG11_NothingPerSocket: beside the handler that the application wrote, a connection has no
// goroutine and no timer of the bridge.
func TestG11_NothingPerSocket(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	site := a.Serve(t)
	const tabs, browsers = 10, 5
	deadlines := a.Deadlines()
	for range browsers {
		br := webclient.NewBrowser(t, site)
		br.OK("/inc")
		for range tabs {
			br.Dial("/ws").Ask("id")
		}
	}
	require.Eventually(t, func() bool { return testkit.Goroutines() == tabs*browsers+1 }, await.Limit, time.Millisecond,
		"one for each handler, and the clock: %d", testkit.Goroutines())
	// A write leaves a deadline for at most WriteTimeout; those that stay are one for each session,
	// one for each heartbeat and, as long as it isn't known who reads, one for that. A deadline is
	// a place in a heap, not a timer.
	require.LessOrEqual(t, a.Deadlines()-deadlines, browsers+2*tabs*browsers+1)
}

func TestG11_NothingPerSocket_IdleSocketsHaveNoTimer(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/beating", a.WebSocket(testkit.Converse, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	deadlines := a.Deadlines()
	for range 50 {
		br.Dial("/beating")
	}
	require.Eventually(t, func() bool { return a.Stats().Conns == 50 && a.Deadlines() == deadlines+51 }, await.Limit, time.Millisecond,
		"one for the session, and one for each heartbeat")
}

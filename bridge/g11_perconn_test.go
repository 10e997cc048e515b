package bridge_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestG11_NothingPerSocket: beside the handler that the application wrote, a connection has no goroutine and no timer of the bridge.
func TestG11_NothingPerSocket(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	site := a.serve(t)
	const tabs, browsers = 10, 5
	deadlines := a.Deadlines()
	for range browsers {
		br := newBrowser(t, site)
		br.ok("/inc")
		for range tabs {
			br.dial("/ws").ask("id")
		}
	}
	require.Eventually(t, func() bool { return bridgeGoroutines() == tabs*browsers+1 }, patience, time.Millisecond,
		"one for each handler, and the clock: %d", bridgeGoroutines())
	// A write leaves a deadline for at most WriteTimeout; those that stay are one for each session, one for each heartbeat and,
	// as long as it isn't known who reads, one for that. A deadline is a place in a heap, not a timer.
	require.LessOrEqual(t, a.Deadlines()-deadlines, browsers+2*tabs*browsers+1)
}

func TestG11_NothingPerSocket_IdleSocketsHaveNoTimer(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.mux.Handle("/beating", a.WebSocket(converse, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	deadlines := a.Deadlines()
	for range 50 {
		br.dial("/beating")
	}
	require.Eventually(t, func() bool { return a.Stats().Conns == 50 && a.Deadlines() == deadlines+51 }, patience, time.Millisecond,
		"one for the session, and one for each heartbeat")
}

// bridgeGoroutines counts the goroutines that the bridge and its internal packages have started.
func bridgeGoroutines() int {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	n := 0
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if _, creator, ok := strings.Cut(stack, "created by github.com/sessionbridge/sessionbridge/"); ok &&
			(strings.HasPrefix(creator, "bridge.") || strings.HasPrefix(creator, "internal/")) {
			n++
		}
	}
	return n
}

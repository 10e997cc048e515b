package endtoend

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// Recorder collects the events of an application.
type Recorder struct {
	t  *testing.T
	mu sync.Mutex
	of []bridge.Event
}

// Record collects events from now on.
func Record(t *testing.T, a *App) *Recorder {
	t.Helper()
	r := &Recorder{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	events := a.Bridge.Subscribe(ctx, 1000)
	var reading sync.WaitGroup
	reading.Go(func() {
		for e := range events {
			r.mu.Lock()
			r.of = append(r.of, e)
			r.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	return r
}

// Wait waits until there are n events or more, and returns them.
func (r *Recorder) Wait(n int) []bridge.Event {
	r.t.Helper()
	var events []bridge.Event
	require.Eventually(r.t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		events = append([]bridge.Event(nil), r.of...)
		return len(events) >= n
	}, await.Limit, time.Millisecond, "%d events", n)
	return events
}

package testkit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// Recorder collects the events of type E.
type Recorder[E bridge.Event] struct {
	t      testing.TB
	events <-chan bridge.Event
}

// Record collects events from now on.
func Record[E bridge.Event](t testing.TB, b *bridge.Bridge) *Recorder[E] {
	return &Recorder[E]{t, b.Subscribe(t.Context(), 10_000)}
}

// Next waits for the next event.
func (rec *Recorder[E]) Next() E {
	rec.t.Helper()
	late := time.NewTimer(await.Limit)
	defer late.Stop()
	for {
		select {
		case ev := <-rec.events:
			if e, ok := ev.(E); ok {
				return e
			}
		case <-late.C:
			require.FailNow(rec.t, "no such event")
		}
	}
}

// Rest returns the events that are available without waiting.
func (rec *Recorder[E]) Rest() (all []E) {
	for {
		select {
		case ev := <-rec.events:
			if e, ok := ev.(E); ok {
				all = append(all, e)
			}
		default:
			return all
		}
	}
}

package testkit

import (
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

// Recorder collects the events of type E.
type Recorder[E bridge.Event] = bridgetest.Recorder[E]

// Record collects events from now on.
func Record[E bridge.Event](t testing.TB, b *bridge.Bridge) *Recorder[E] {
	return bridgetest.Events[E](t, b)
}

package testkit

import (
	"slices"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
)

// NewNodes returns n applications that share a hub and their keys.
func NewNodes(t testing.TB, n int, opts bridge.Options) (*testhub.Hub, []*App) {
	t.Helper()
	h := testhub.New()
	opts.Keys = [][]byte{slices.Repeat([]byte("k"), 32)}
	apps := make([]*App, n)
	for i := range apps {
		apps[i] = NewApp(t, h, &opts)
	}
	return h, apps
}

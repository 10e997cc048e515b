package nodes_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// TestAnAnswerOfWhichAPartIsLostIsNoWholeOne: a store drops messages to a node that reads too
// slowly.
func TestAnAnswerOfWhichAPartIsLostIsNoWholeOne(t *testing.T) {
	t.Parallel()
	nodes, apps := bentNodes(t, 2, bridge.Options{})
	ada := webclient.NewBrowser(t, apps[1].Serve(t))
	ada.OK("/inc")
	const many = 300 // two pieces
	for range many {
		ada.Dial("/ws")
	}
	require.Eventually(t, func() bool { return apps[1].Stats().Conns == many }, await.Limit, time.Millisecond)
	var sent atomic.Int64
	nodes[1].Change(func(n *testhub.BentNode) {
		n.OnSend = func(context.Context) error {
			if sent.Add(1) == 1 {
				return testhub.ErrLost
			}
			return nil
		}
	})
	listed, failed := 0, error(nil)
	for _, err := range apps[0].Conns(t.Context(), bridge.ConnFilter{}) {
		if err == nil {
			listed++
		} else {
			failed = err
		}
	}
	require.Less(t, listed, many)
	require.ErrorIs(t, failed, bridge.ErrNodeSilent)

	sent.Store(0)
	_, err := apps[0].Activity(t.Context(), time.Hour)
	require.ErrorIs(t, err, bridge.ErrNodeSilent)
	a, err := apps[0].Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, many, a.Conns)
}

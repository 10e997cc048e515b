package bridge_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TestAnAnswerOfWhichAPartIsLostIsNoWholeOne: a store drops messages to a node that has too much to read.
func TestAnAnswerOfWhichAPartIsLostIsNoWholeOne(t *testing.T) {
	t.Parallel()
	nodes, apps := bentNodes(t, 2, bridge.Options{})
	ada := newBrowser(t, apps[1].serve(t))
	ada.ok("/inc")
	const many = 300 // two pieces
	for range many {
		ada.dial("/ws")
	}
	require.Eventually(t, func() bool { return apps[1].Stats().Conns == many }, patience, time.Millisecond)
	var sent atomic.Int64
	nodes[1].change(func(n *bentNode) {
		n.onSend = func(context.Context) error {
			if sent.Add(1) == 1 {
				return errLost
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

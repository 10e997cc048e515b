package nodes_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
)

// TestG4_DestroyReachesTheSocketsOfAnotherProcess: over Redis, on a server of its own or a Cluster;
// and so do messages and lists.
func TestG4_DestroyReachesTheSocketsOfAnotherProcess(t *testing.T) {
	t.Parallel() // on a Redis of its own, which it waits for
	t.Run("standalone", func(t *testing.T) { reachesTheSockets(t, redistest.Start(t).URL()) })
	t.Run("cluster", func(t *testing.T) { reachesTheSockets(t, redistest.StartCluster(t, 3).URL()) })
}

func reachesTheSockets(t *testing.T, redis string) {
	keys := [][]byte{endtoend.NewKey()}
	here, there := onRedis(t, redis, keys), onRedis(t, redis, keys)
	ada := endtoend.NewBrowser(t, here)
	ada.Get("/login?user=ada")
	ada.At(there)
	tabs := []*endtoend.Socket{ada.Dial(), ada.Dial()}
	for _, tab := range tabs {
		require.Equal(t, "ada", tab.Ask("user"))
	}
	n, err := here.Bridge.Notify(t.Context(), bridge.To{UserID: "ada"}, []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, "hello", tabs[0].Hear())
	active, err := here.Bridge.Activity(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, bridge.Activity{Users: 1, Sessions: 1, Conns: 2}, active)

	n, err = here.Bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, tab := range tabs {
		require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	}
}

package nodes_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// A node learns the reason of an end on another node if it has connections of the session. The
// others know that the session is gone, and say no more.
func TestMissingReasonOnOtherNodes(t *testing.T) {
	_, apps := testkit.NewNodes(t, 3, bridge.Options{MaxSessionsPerUser: 1})
	for _, a := range apps {
		a.Page("/why", func(r *http.Request) (any, error) { return a.MissingReason(r), nil })
	}
	ada := webclient.NewBrowser(t, apps[0].Serve(t))
	ada.OK("/login?user=ada")
	connected, other := ada.At(apps[1].Serve(t)), ada.At(apps[2].Serve(t))
	ws := connected.Dial("/ws")
	require.Equal(t, "0", ws.Ask("get"))
	require.Empty(t, other.OK("/why"))

	webclient.Pocket{}.Get(t, apps[0].Handler(apps[0].Mux), "/login?user=ada")
	require.Equal(t, bridge.CodeEvicted, ws.Closed())
	require.Equal(t, string(bridge.MissingEvicted), ada.OK("/why"))
	require.Eventually(t, func() bool { return connected.OK("/why") == string(bridge.MissingEvicted) },
		await.Limit, time.Millisecond)
	require.Equal(t, string(bridge.MissingUnknown), other.OK("/why"))
}

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

// TestClientMapFollowsOtherNodes_AnEndByOneThatHasNeverSeenTheSession: such as an administrator's
// process.
func TestClientMapFollowsOtherNodes_AnEndByOneThatHasNeverSeenTheSession(t *testing.T) {
	h, apps := testkit.NewNodes(t, 2, bridge.Options{})
	ada := webclient.NewBrowser(t, apps[0].Serve(t))
	ada.OK("/inc")
	id := ada.OK("/id")
	client, ok := apps[0].ClientIDOf(id)
	require.True(t, ok)
	require.Eventually(t, func() bool { _, clients := h.Node(0).Holds(); return clients == 1 }, await.Limit, time.Millisecond)
	was, err := apps[1].DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.True(t, was)
	require.Eventually(t, func() bool { _, known := apps[0].SessionIDOf(client); return !known }, await.Limit, time.Millisecond)
}

// TestClientMapFollowsOtherNodes_ABusyClientAmongMany: a client that is seen all the time stays
// among those that were seen last.
func TestClientMapFollowsOtherNodes_ABusyClientAmongMany(t *testing.T) {
	t.Parallel()
	_, apps := testkit.NewNodes(t, 2, bridge.Options{})
	ada := webclient.NewBrowser(t, apps[0].Serve(t))
	ada.OK("/inc")
	id := ada.OK("/id")
	client, _ := apps[0].ClientIDOf(id)
	handler := apps[0].Handler(apps[0].Mux)
	for i := range 11_000 {
		webclient.Pocket{}.Get(t, handler, "/inc")
		if i%1000 == 0 {
			require.Equal(t, http.StatusOK, ada.Get("/inc").Status)
		}
	}
	ada.At(apps[1].Serve(t)).OK("/logout")
	require.Eventually(t, func() bool { _, known := apps[0].SessionIDOf(client); return !known }, await.Limit, time.Millisecond)
}

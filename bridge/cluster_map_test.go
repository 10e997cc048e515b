package bridge_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TestClientMapFollowsOtherNodes_AnEndByOneThatHasNeverSeenTheSession: an administrator's process, say.
func TestClientMapFollowsOtherNodes_AnEndByOneThatHasNeverSeenTheSession(t *testing.T) {
	h, apps := makeNodes(t, 2, bridge.Options{})
	ada := newBrowser(t, apps[0].serve(t))
	ada.ok("/inc")
	id := ada.ok("/id")
	client, ok := apps[0].ClientIDOf(id)
	require.True(t, ok)
	require.Eventually(t, func() bool { _, clients := h.node(0).holds(); return clients == 1 }, patience, time.Millisecond)
	was, err := apps[1].DestroyByID(t.Context(), id)
	require.NoError(t, err)
	require.True(t, was)
	require.Eventually(t, func() bool { _, known := apps[0].SessionIDOf(client); return !known }, patience, time.Millisecond)
}

// TestClientMapFollowsOtherNodes_ABusyClientAmongMany: one that is seen all the time is one of those that were seen last.
func TestClientMapFollowsOtherNodes_ABusyClientAmongMany(t *testing.T) {
	t.Parallel()
	_, apps := makeNodes(t, 2, bridge.Options{})
	ada := newBrowser(t, apps[0].serve(t))
	ada.ok("/inc")
	id := ada.ok("/id")
	client, _ := apps[0].ClientIDOf(id)
	handler := apps[0].Handler(apps[0].mux)
	for i := range 11_000 {
		pocket{}.get(t, handler, "/inc")
		if i%1000 == 0 {
			require.Equal(t, http.StatusOK, ada.get("/inc").status)
		}
	}
	ada.at(apps[1].serve(t)).ok("/logout")
	require.Eventually(t, func() bool { _, known := apps[0].SessionIDOf(client); return !known }, patience, time.Millisecond)
}

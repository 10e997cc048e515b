package nodes_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// Events about other nodes have the session's client and user, too.
func TestEventsOfOtherNodesSayWhoseSessionTheyAreAbout(t *testing.T) {
	for name, connected := range map[string]bool{"a session with connections here": true, "one that was used here": false} {
		t.Run(name, func(t *testing.T) {
			h, apps := testkit.NewNodes(t, 2, bridge.Options{})
			here, there := apps[0].Serve(t), apps[1].Serve(t)
			ada := webclient.NewBrowser(t, here)
			ada.OK("/login?user=ada")
			id := ada.OK("/id")
			if connected {
				ada.Dial("/ws").Ask("id")
			}
			require.Eventually(t, func() bool { _, clients := h.Node(0).Holds(); return clients == 1 }, await.Limit, 1)
			sets, ends := testkit.Record[bridge.SessionSet](t, apps[0].Bridge), testkit.Record[bridge.SessionDestroy](t, apps[0].Bridge)
			ada.At(there).OK("/login?user=bob")
			var login bridge.SessionSet
			for !login.Login {
				login = sets.Next()
				require.Equal(t, bridge.ViaNode, login.Via)
			}
			require.Equal(t, bridge.SessionSet{
				ClientID: login.ClientID, SessionID: id, UserID: "bob", PrevUserID: "ada", Login: true, Rotated: true, Via: bridge.ViaNode,
			}, login)
			ada.At(there).OK("/logout")
			end := ends.Next()
			require.Equal(t, id, end.SessionID)
			require.Equal(t, "bob", end.UserID)
			for _, set := range sets.Rest() {
				require.False(t, set.Login, "told once: %+v", set)
			}
		})
	}
}

// A node that isn't notified of a login notices it when the session is used there.
func TestLoginOnAnotherNodeIsNoticedAtTheNextUse(t *testing.T) {
	h, apps := testkit.NewNodes(t, 2, bridge.Options{})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	ada := webclient.NewBrowser(t, here)
	ada.OK("/login?user=ada")
	id := ada.OK("/id")
	sets := testkit.Record[bridge.SessionSet](t, apps[0].Bridge)
	h.Node(0).SetNetwork(true, false)
	ada.At(there).OK("/login?user=bob")
	require.Empty(t, sets.Rest())
	ada.OK("/get")
	login := sets.Next()
	require.Equal(t, bridge.SessionSet{
		ClientID: login.ClientID, SessionID: id, UserID: "bob", PrevUserID: "ada", Login: true, Rotated: true, Via: bridge.ViaNode,
	}, login)
	ada.OK("/get")
	require.Empty(t, sets.Rest())
}

package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// What a node learns of the others says whose session it is, too.
func TestEventsOfOtherNodesSayWhoseSessionTheyAreAbout(t *testing.T) {
	for name, connected := range map[string]bool{"a session with connections here": true, "one that was used here": false} {
		t.Run(name, func(t *testing.T) {
			h, apps := makeNodes(t, 2, bridge.Options{})
			here, there := apps[0].serve(t), apps[1].serve(t)
			ada := newBrowser(t, here)
			ada.ok("/login?user=ada")
			id := ada.ok("/id")
			if connected {
				ada.dial("/ws").ask("id")
			}
			require.Eventually(t, func() bool { _, clients := h.node(0).holds(); return clients == 1 }, patience, 1)
			sets, ends := record[bridge.SessionSet](t, apps[0].Bridge), record[bridge.SessionDestroy](t, apps[0].Bridge)
			ada.at(there).ok("/login?user=bob")
			var login bridge.SessionSet
			for !login.Login {
				login = sets.next()
				require.Equal(t, bridge.ViaNode, login.Via)
			}
			require.Equal(t, bridge.SessionSet{
				ClientID: login.ClientID, SessionID: id, UserID: "bob", PrevUserID: "ada", Login: true, Rotated: true, Via: bridge.ViaNode,
			}, login)
			ada.at(there).ok("/logout")
			end := ends.next()
			require.Equal(t, id, end.SessionID)
			require.Equal(t, "bob", end.UserID)
			for _, set := range sets.rest() {
				require.False(t, set.Login, "told once: %+v", set)
			}
		})
	}
}

// A node that isn't told of a login notices it when the session is used there.
func TestLoginOnAnotherNodeIsNoticedAtTheNextUse(t *testing.T) {
	h, apps := makeNodes(t, 2, bridge.Options{})
	here, there := apps[0].serve(t), apps[1].serve(t)
	ada := newBrowser(t, here)
	ada.ok("/login?user=ada")
	id := ada.ok("/id")
	sets := record[bridge.SessionSet](t, apps[0].Bridge)
	h.node(0).set(true, false)
	ada.at(there).ok("/login?user=bob")
	require.Empty(t, sets.rest())
	ada.ok("/get")
	login := sets.next()
	require.Equal(t, bridge.SessionSet{
		ClientID: login.ClientID, SessionID: id, UserID: "bob", PrevUserID: "ada", Login: true, Rotated: true, Via: bridge.ViaNode,
	}, login)
	ada.ok("/get")
	require.Empty(t, sets.rest())
}

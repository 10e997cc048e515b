package bridge_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TestRegress_HandshakeOfAClientWithAnOlderSession: a browser that has lost its session's cookie, and kept the client's, gets a connection without a session, at a node that has never seen either: the session that it
// once had elsewhere has not come during the handshake. Only where connections follow the client's session it gets that one, as at the node that has seen it.
func TestRegress_HandshakeOfAClientWithAnOlderSession(t *testing.T) {
	for _, policy := range []bridge.RebindPolicy{bridge.Reconnect, bridge.Follow} {
		synctest.Test(t, func(t *testing.T) {
			_, apps := makeNodes(t, 2, bridge.Options{Rebind: policy})
			here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
			ada := newBrowser(t, there)
			ada.ok("/inc")
			want := `""`
			if policy == bridge.Follow {
				want = ada.ok("/id")
			}
			time.Sleep(time.Second)
			fresh := newBrowser(t, here)
			fresh.setCookie("sid.cid", ada.cookie("sid.cid"))
			require.Equal(t, strings.Trim(want, `"`), strings.Trim(fresh.dial("/ws").ask("id"), `"`), "policy %d", policy)
		})
	}
}

// TestG5_ASessionThatTheClientGetsOnAnotherNodeDuringTheHandshake: before the node is told of what concerns the client.
func TestG5_ASessionThatTheClientGetsOnAnotherNodeDuringTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{EagerClient: true})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		ada := newBrowser(t, there)
		ada.ok("/plain")
		time.Sleep(1200 * time.Microsecond)
		h.node(0).beforeHold = func() { ada.ok("/inc") } // at once: in the same millisecond
		select {
		case code := <-ada.another().at(here).dial("/ws").whenClosed():
			require.Equal(t, bridge.CodeReconnect, code)
		case <-time.After(time.Minute):
			t.Fatal("it goes on without the session")
		}
	})
}

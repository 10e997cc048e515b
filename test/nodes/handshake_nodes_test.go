package nodes_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// TestRegress_HandshakeOfAClientWithAnOlderSession: a browser that has lost its session cookie, but
// not the client cookie, connects at a node that has seen neither. It gets a connection without a
// session, because its older session elsewhere was not created during the handshake. Only with
// Follow it gets that session, as at the node that has seen it.
func TestRegress_HandshakeOfAClientWithAnOlderSession(t *testing.T) {
	for _, policy := range []bridge.RebindPolicy{bridge.Reconnect, bridge.Follow} {
		synctest.Test(t, func(t *testing.T) {
			_, apps := testkit.NewNodes(t, 2, bridge.Options{Rebind: policy})
			here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
			ada := webclient.NewBrowser(t, there)
			ada.OK("/inc")
			want := `""`
			if policy == bridge.Follow {
				want = ada.OK("/id")
			}
			time.Sleep(time.Second)
			fresh := webclient.NewBrowser(t, here)
			fresh.SetCookie("sid.cid", ada.Cookie("sid.cid"))
			require.Equal(t, strings.Trim(want, `"`), strings.Trim(fresh.Dial("/ws").Ask("id"), `"`), "policy %d", policy)
		})
	}
}

// TestG5_ASessionThatTheClientGetsOnAnotherNodeDuringTheHandshake: before the node holds the
// client.
func TestG5_ASessionThatTheClientGetsOnAnotherNodeDuringTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{EagerClient: true})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		ada := webclient.NewBrowser(t, there)
		ada.OK("/plain")
		time.Sleep(1200 * time.Microsecond)
		h.Node(0).BeforeHold = func() { ada.OK("/inc") } // at once: in the same millisecond
		select {
		case code := <-ada.Another().At(here).Dial("/ws").WhenClosed():
			require.Equal(t, bridge.CodeReconnect, code)
		case <-time.After(time.Minute):
			t.Fatal("it goes on without the session")
		}
	})
}

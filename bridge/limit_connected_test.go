package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestConnectionsOfAClientDontLiftTheLimitOfItsSessions: the oldest sessions of a client have
// connections, and so stay; those behind them end all the same.
func TestConnectionsOfAClientDontLiftTheLimitOfItsSessions(t *testing.T) {
	t.Parallel()
	for name, rebind := range map[string]bridge.RebindPolicy{"reconnect": bridge.Reconnect, "follow": bridge.Follow} {
		t.Run(name, func(t *testing.T) {
			const connected, more = 60, 150
			a := makeApp(t, livestore.New(), &bridge.Options{Rebind: rebind})
			s := a.serveInMemory(t)
			script := newBrowser(t, s)
			script.ok("/inc")
			client := script.cookie("sid.cid")
			visit := func() *browser {
				br := newBrowser(t, s)
				br.setCookie("sid.cid", client)
				br.ok("/inc")
				return br
			}
			for range connected {
				visit().dial("/ws")
			}
			for range more {
				visit()
			}
			conns := a.Stats().Conns
			require.LessOrEqual(t, len(listed(t, a.Bridge, bridge.Filter{})), 16+int(conns))
		})
	}
}

package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestConnectionsOfAClientDontLiftTheLimitOfItsSessions: the oldest sessions of a client have
// connections, and so stay; those behind them end all the same.
func TestConnectionsOfAClientDontLiftTheLimitOfItsSessions(t *testing.T) {
	t.Parallel()
	for name, rebind := range map[string]bridge.RebindPolicy{"reconnect": bridge.Reconnect, "follow": bridge.Follow} {
		t.Run(name, func(t *testing.T) {
			const connected, more = 60, 150
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{Rebind: rebind})
			s := a.ServeInMemory(t)
			script := webclient.NewBrowser(t, s)
			script.OK("/inc")
			client := script.Cookie("sid.cid")
			visit := func() *webclient.Browser {
				br := webclient.NewBrowser(t, s)
				br.SetCookie("sid.cid", client)
				br.OK("/inc")
				return br
			}
			for range connected {
				visit().Dial("/ws")
			}
			for range more {
				visit()
			}
			conns := a.Stats().Conns
			require.LessOrEqual(t, len(testkit.Listed(t, a.Bridge, bridge.Filter{})), 16+int(conns))
		})
	}
}

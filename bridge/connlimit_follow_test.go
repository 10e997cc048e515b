package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Connections that follow their client into its session are its connections as well.
func TestS11_ConnsPerSessionAreLimitedWhenTheyFollow(t *testing.T) {
	for policy, stay := range map[bridge.ConnLimitPolicy][]int{bridge.RefuseConn: {0, 1}, bridge.EvictOldestConn: {3, 4}} {
		a := makeApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow, MaxConnsPerSession: 2, OnTooManyConns: policy, EagerClient: true})
		br := newBrowser(t, a.serve(t))
		br.ok("/plain")
		var all []*socket
		for range 5 {
			s := br.dial("/ws")
			require.Equal(t, `""`, s.ask("id"))
			all = append(all, s)
		}
		br.ok("/inc")
		id := br.ok("/id")
		require.Len(t, conns(t, a.Bridge, bridge.ConnFilter{SessionID: id}), 2)
		for i, s := range all {
			if i == stay[0] || i == stay[1] {
				require.Equal(t, `"`+id+`"`, s.ask("id"))
			} else {
				require.Equal(t, bridge.CodePolicy, s.closed())
			}
		}
	}
}

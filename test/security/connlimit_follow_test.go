package security_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Connections that follow their client into a session count towards that session's limit.
func TestS11_ConnsPerSessionAreLimitedWhenTheyFollow(t *testing.T) {
	for policy, stay := range map[bridge.ConnLimitPolicy][]int{bridge.RefuseConn: {0, 1}, bridge.EvictOldestConn: {3, 4}} {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow, MaxConnsPerSession: 2, OnTooManyConns: policy, EagerClient: true})
		br := webclient.NewBrowser(t, a.Serve(t))
		br.OK("/plain")
		var all []*webclient.Socket
		for range 5 {
			s := br.Dial("/ws")
			require.Equal(t, `""`, s.Ask("id"))
			all = append(all, s)
		}
		br.OK("/inc")
		id := br.OK("/id")
		require.Len(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{SessionID: id}), 2)
		for i, s := range all {
			if i == stay[0] || i == stay[1] {
				require.Equal(t, `"`+id+`"`, s.Ask("id"))
			} else {
				require.Equal(t, bridge.CodePolicy, s.Closed())
			}
		}
	}
}

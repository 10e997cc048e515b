package nodes_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// TestTheLimitHoldsForLoginsAtTheSameMoment: of two logins at two nodes, one after the other but at
// the same time by their clocks, the second evicts the first.
func TestTheLimitHoldsForLoginsAtTheSameMoment(t *testing.T) {
	for range 20 { // whichever ID is the greater
		synctest.Test(t, func(t *testing.T) {
			_, apps := testkit.NewNodes(t, 2, bridge.Options{MaxSessionsPerUser: 1})
			first, second := webclient.Pocket{}, webclient.Pocket{}
			first.Get(t, apps[0].Handler(apps[0].Mux), "/login?user=ada")
			second.Get(t, apps[1].Handler(apps[1].Mux), "/login?user=ada")
			id := second.Get(t, apps[1].Handler(apps[1].Mux), "/id").Body.String()
			var left []string
			for info, err := range apps[0].Sessions(t.Context(), bridge.Filter{UserID: "ada"}) {
				require.NoError(t, err)
				left = append(left, info.ID)
			}
			require.Equal(t, []string{id}, left)
		})
	}
}

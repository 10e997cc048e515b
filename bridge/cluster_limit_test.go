package bridge_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TestTheLimitHoldsForLoginsAtTheSameMoment: one after the other at two nodes, at the same time by their clocks: the second takes the first one's place.
func TestTheLimitHoldsForLoginsAtTheSameMoment(t *testing.T) {
	for range 20 { // whichever ID is the greater
		synctest.Test(t, func(t *testing.T) {
			_, apps := makeNodes(t, 2, bridge.Options{MaxSessionsPerUser: 1})
			first, second := pocket{}, pocket{}
			first.get(t, apps[0].Handler(apps[0].mux), "/login?user=ada")
			second.get(t, apps[1].Handler(apps[1].mux), "/login?user=ada")
			id := second.get(t, apps[1].Handler(apps[1].mux), "/id").Body.String()
			var left []string
			for info, err := range apps[0].Sessions(t.Context(), bridge.Filter{UserID: "ada"}) {
				require.NoError(t, err)
				left = append(left, info.ID)
			}
			require.Equal(t, []string{id}, left)
		})
	}
}

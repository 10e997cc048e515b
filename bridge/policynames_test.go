package bridge_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestPoliciesPrintTheirNames(t *testing.T) {
	for name, policy := range map[string]any{
		"SecureAlways": bridge.SecureAlways, "CookieBrowserSession": bridge.CookieBrowserSession,
		"OnlyForwarded": bridge.OnlyForwarded, "RecordNetwork": bridge.RecordNetwork, "KeepConns": bridge.KeepConns,
		"Follow": bridge.Follow, "RefuseLogin": bridge.RefuseLogin, "EvictOldestConn": bridge.EvictOldestConn,
		"TimeoutsNISTAAL2": bridge.TimeoutsNISTAAL2, "CloseMissing": bridge.CloseMissing,
		"CloseUnavailable": bridge.CloseUnavailable, "DropOldest": bridge.DropOldest, "ReplaceName": bridge.ReplaceName,
		"bridge.RecordPolicy(7)": bridge.RecordPolicy(7), "bridge.MissingPolicy(0)": bridge.MissingPolicy(0),
	} {
		require.Equal(t, name, fmt.Sprint(policy))
	}
	b := testkit.NewBridge(t, livestore.New(), &bridge.Options{RecordAddr: bridge.RecordNetwork})
	require.Contains(t, fmt.Sprint(b.Options()), " RecordAddr:RecordNetwork")
}

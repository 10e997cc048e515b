package redisstore_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestSentinelFailover: the store uses the current master. When the master fails, the replica that
// replaces it has the data that was replicated.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	host, port, err := net.SplitHostPort(master.Addr())
	require.NoError(t, err)
	replica := redistest.Start(t, "replicaof "+host+" "+port)
	require.Eventually(t, func() bool { return replica.Info("replication")["master_link_status"] == "up" }, patience, tick)
	sentinel := redistest.StartSentinel(t, "sessions", master)
	require.Eventually(t, func() bool {
		return strings.Contains(sentinel.Info("sentinel")["master0"], "slaves=1")
	}, patience, tick, "it has heard of the replica")

	st := open(t, sentinel.URL()+"?master_set=sessions", nil)
	rec := create(t, st)
	require.Equal(t, int64(1), number(t, master.Do("WAIT", "1", "5000")))
	master.Kill()
	require.Eventually(t, func() bool {
		revision, err := st.Set(t.Context(), rec)
		if err == nil {
			rec.Revision = revision
		}
		require.False(t, errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict), "an outage says nothing about a session: %v", err)
		return err == nil
	}, 2*patience, tick)
	require.Equal(t, "master", replica.Info("replication")["role"])
	require.Equal(t, []string{rec.ID}, collect(t, st.ByUser(t.Context(), "ada")))
}

package redisstore_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestNodesAfterAFailover: nodes are notified that the new master may have missed changes, and of
// later changes.
func TestNodesAfterAFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	host, port, err := net.SplitHostPort(master.Addr())
	require.NoError(t, err)
	replica := redistest.Start(t, "replicaof "+host+" "+port)
	require.Eventually(t, func() bool { return replica.Info("replication")["master_link_status"] == "up" }, patience, tick)
	sentinel := redistest.StartSentinel(t, "sessions", master)
	require.Eventually(t, func() bool { return strings.Contains(sentinel.Info("sentinel")["master0"], "slaves=1") }, patience, tick)

	s := &site{T: t, servers: []*redistest.Server{replica}, url: sentinel.URL() + "?master_set=sessions", shards: 2}
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	b.hold(rec.ID, rec.ClientID)
	require.Equal(t, int64(1), number(t, master.Do("WAIT", "1", "5000")))
	master.Kill()
	at := time.Now()
	require.Eventually(t, func() bool {
		_, err := a.End(t.Context(), rec.ID, "logout", 0)
		return err == nil
	}, 2*patience, tick)
	require.Equal(t, "master", replica.Info("replication")["role"])
	var got []store.Change
	require.Eventually(t, func() bool {
		got = append(got, b.told()...)
		return len(got) > 0 && got[len(got)-1].Kind == store.ChangeMissed
	}, patience, tick)
	for _, c := range got[:len(got)-1] { // if the node has read its inbox before it noticed the failover
		require.Equal(t, store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "logout"}, c)
	}
	require.Eventually(t, func() bool { return b.Contact().Answered.After(at) && b.Contact().Heard.After(at) }, patience, tick)
	require.NoError(t, a.Announce(t.Context(), rec.ClientID, "another"))
	b.expect(store.Change{Kind: store.ChangeClient, ClientID: rec.ClientID, ID: "another"})
}

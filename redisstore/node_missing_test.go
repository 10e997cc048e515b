package redisstore_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestNodeJoinsAgainWithoutAMaster: in the other shards changes are reported and sessions can be
// held.
func TestNodeJoinsAgainWithoutAMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	for _, server := range c.Servers {
		server.Do("CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	s := &site{T: t, servers: c.Servers, url: c.URL(), shards: 16}
	a, b := s.node(), s.node()
	lost := s.serverOf(3)
	var there store.Record
	var other *redistest.Server
	shard := 0
	for there.ID == "" {
		rec := a.set(newRecord())
		shard = codec.Shard(codec.Member(rec.ID), 16)
		if other = s.serverOf(shard); other != lost {
			there = rec
		}
	}
	b.hold(there.ID, "")
	lost.Kill()
	was := b.name()
	other.Do("DEL", s.prefix(shard)+"i"+was) // simulates an expired lease, or a failover to a server that has lost it
	require.Eventually(t, func() bool { return b.name() != was }, patience, tick)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, b.Hold(ctx, there.ID, ""))
	joined := time.Now()
	require.Eventually(t, func() bool { return b.Contact().Reached.After(joined) }, patience, tick)
	require.Eventually(t, func() bool { return slices.Contains(kindsOf(b.told()), store.ChangeMissed) }, patience, tick)
	a.end(there.ID, "logout")
	require.Eventually(t, func() bool {
		return slices.Contains(kindsOf(b.told()), store.ChangeEnded)
	}, patience, tick)
}

func kindsOf(changes []store.Change) (kinds []store.ChangeKind) {
	for _, c := range changes {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

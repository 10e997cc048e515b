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

// TestANodeJoinsAgainWhileAMasterIsMissing: what is in the other parts is told, and can be held.
func TestANodeJoinsAgainWhileAMasterIsMissing(t *testing.T) {
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
	other.Do("DEL", s.prefix(shard)+"i"+was) // as after 15 seconds without a beat, or on a server that has taken its place
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

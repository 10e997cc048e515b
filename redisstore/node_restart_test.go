package redisstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestLostDestroysAreRepeated: when a server restarts with data from before a session was ended,
// the node that ended it ends it again. A session that was created since under the same ID is kept.
func TestLostDestroysAreRepeated(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 16} {
		server := redistest.Start(t)
		s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: shards}
		a, b := s.node(), s.node()
		var ended []store.Record
		for range 20 {
			ended = append(ended, a.set(newRecord()))
		}
		kept, again := a.set(newRecord()), a.set(newRecord())
		a.end(again.ID, "x")
		again.Revision = 0
		again = a.set(again)
		b.hold(ended[0].ID, "")
		server.Do("SAVE")
		for i, rec := range ended {
			if i%2 == 0 {
				a.end(rec.ID, "logout")
				continue
			}
			_, err := b.Destroy(t.Context(), rec.ID)
			require.NoError(t, err)
		}
		b.expect(store.Change{Kind: store.ChangeEnded, ID: ended[0].ID, Reason: "logout"})
		server.Kill()
		server.Restart()
		a.expect(changeMissed)
		b.expect(changeMissed)
		for _, rec := range ended {
			_, err := a.Get(t.Context(), rec.ID)
			require.ErrorIs(t, err, store.ErrNotFound, "before the nodes are notified of missed changes")
		}
		for _, rec := range []store.Record{kept, again} {
			_, err := a.Get(t.Context(), rec.ID)
			require.NoError(t, err)
		}
	}
}

// TestNodesWhileSlotsAreMoved: nodes are notified of later changes.
func TestNodesWhileSlotsAreMoved(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2)
	s := &site{T: t, servers: c.Servers, url: c.URL(), shards: 2}
	a, b := s.node(), s.node()
	var recs []store.Record
	for range 20 {
		rec := a.set(newRecord())
		b.hold(rec.ID, "")
		recs = append(recs, rec)
	}
	require.NoError(t, moveSlots(c, 1))
	var got []store.Change
	require.Eventually(t, func() bool {
		got = append(got, b.told()...)
		return len(got) > 0 && got[len(got)-1].Kind == store.ChangeMissed
	}, patience, tick, "another server may not know everything")
	// The node may notice the second move only now. Sessions that end before that may be among the
	// missed changes that it then reports.
	got = b.told()
	since := map[string]int{} // by session: the number of changes reported before its end
	for _, rec := range recs {
		require.Eventually(t, func() bool {
			_, err := a.End(t.Context(), rec.ID, "x", 0)
			return err == nil
		}, patience, tick)
		got = append(got, b.told()...)
		since[rec.ID] = len(got)
	}
	known := func(id string) bool {
		missed := slices.ContainsFunc(got[since[id]:], func(c store.Change) bool { return c.Kind == store.ChangeMissed })
		return missed || slices.ContainsFunc(got, func(c store.Change) bool { return c.Kind == store.ChangeEnded && c.ID == id })
	}
	require.Eventually(t, func() bool {
		got = append(got, b.told()...)
		return !slices.ContainsFunc(recs, func(rec store.Record) bool { return !known(rec.ID) })
	}, patience, tick)
	at := time.Now()
	require.Eventually(t, func() bool { return b.Contact().Answered.After(at) && b.Contact().Heard.After(at) }, patience, tick)
}

// TestNodeInAClusterThatMissesAMaster: the node works with the other masters, and Contact reports
// when all were last reached.
func TestNodeInAClusterThatMissesAMaster(t *testing.T) {
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
	for there.ID == "" {
		rec := a.set(newRecord())
		if other = s.serverOf(codec.Shard(codec.Member(rec.ID), 16)); other != lost {
			there = rec
		}
	}
	b.hold(there.ID, "")
	lost.Kill()
	at := time.Now()
	clock := other.Clock()
	a.end(there.ID, "x")
	b.expect(store.Change{Kind: store.ChangeEnded, ID: there.ID, Reason: "x"})
	require.Less(t, clock.Elapsed(), 5*time.Second)
	require.Eventually(t, func() bool { return time.Since(b.Contact().Answered) > 3*time.Second }, patience, tick)
	lost.Restart()
	b.expect(changeMissed)
	require.Eventually(t, func() bool { return b.Contact().Answered.After(at) && b.Contact().Heard.After(at) }, patience, tick)
}

// TestChangesArriveWithoutMessages: without sharded pub/sub, changes are reported within about a
// second.
func TestChangesArriveWithoutMessages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">password"}, without(rights, "+ssubscribe")...)...)
	s := &site{T: t, servers: []*redistest.Server{server}, url: "redis://sessions:password@" + server.Addr(), shards: 4}
	a := watch(t, open(t, server.URL(), &redisstore.Options{Shards: 4}))
	b := begin(t, open(t, s.url, nil))
	clock := server.Clock()
	for range 3 {
		rec := a.set(newRecord())
		b.hold(rec.ID, "")
		a.set(rec)
		began := clock.Elapsed()
		a.end(rec.ID, "x")
		b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "x"}) // ChangeStored needs a message
		require.Less(t, clock.Elapsed()-began, 2*time.Second)
	}
	at := time.Now()
	require.Eventually(t, func() bool { return b.Contact().Answered.After(at) }, patience, tick)
	require.Zero(t, b.Contact().Heard)
}

// TestSubscriptionsThatBreak: no change is lost or reported twice while the connections of
// subscribers are closed repeatedly.
func TestSubscriptionsThatBreak(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 4}
	b := s.node()
	writer := open(t, s.url, nil) // without a subscription
	const n = 40
	var want []store.Change
	rec := create(t, writer)
	require.Eventually(t, func() bool { return b.Hold(t.Context(), rec.ID, "") == nil }, patience, tick)
	for i := range n {
		rec.TokenHash[0]++
		revision, err := writer.Set(t.Context(), rec)
		require.NoError(t, err)
		rec.Revision = revision
		want = append(want, store.Change{Kind: store.ChangeAccess, ID: rec.ID})
		if i%4 == 0 {
			server.Do("CLIENT", "KILL", "TYPE", "pubsub")
		}
	}
	b.expect(want...)
	at := time.Now()
	require.Eventually(t, func() bool { return b.Contact().Heard.After(at) && b.Contact().Answered.After(at) }, patience, tick)
}

// TestNodeWithoutRights: a call that waits for the node to join names the missing right, and the
// store works.
func TestNodeWithoutRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">password"}, without(rights, "+xadd")...)...)
	st := open(t, "redis://sessions:password@"+server.Addr(), nil)
	b := begin(t, st)
	rec := b.set(newRecord())
	ctx, cancel := withTimeout(t, time.Second)
	defer cancel()
	err := b.Hold(ctx, rec.ID, "")
	require.ErrorContains(t, err, "ACL doesn't allow it")
	require.False(t, errors.Is(err, store.ErrNotFound))
	b.end(rec.ID, "x")
	require.NoError(t, b.Leave(t.Context()))
}

// TestNodeRemovesItsOldName: what it held under the old name is removed soon after it has joined
// under a new one, even if there is no other node.
func TestNodeRemovesItsOldName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 1}
	a := s.node()
	for i := range 1200 { // more than are removed at once
		a.hold(fmt.Sprint("session", i), "")
	}
	was := a.name()
	server.Do("DEL", s.prefix(0)+"i"+was)
	require.Eventually(t, func() bool { return a.name() != was }, patience, tick)
	clock := server.Clock()
	require.Eventually(t, func() bool { return !slices.Contains(keys(t, server), s.prefix(0)+"o"+was) }, patience, tick)
	require.Less(t, clock.Elapsed(), 10*time.Second)
	require.Len(t, s.keysOf("h"), 1200)
	require.NoError(t, a.Leave(t.Context()))
	require.Empty(t, s.keysOf("hkoin"), "no key remains")
}

// TestNodeThatLeavesRemovesItsOldName: even if it has just joined under a new one.
func TestNodeThatLeavesRemovesItsOldName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 1}
	a := s.node()
	for i := range 1200 {
		a.hold(fmt.Sprint("session", i), "")
	}
	was := a.name()
	server.Do("DEL", s.prefix(0)+"i"+was)
	require.Eventually(t, func() bool { return a.name() != was }, patience, time.Millisecond)
	require.NoError(t, a.Leave(t.Context()))
	require.Empty(t, s.keysOf("hkoin"), "no key remains")
}

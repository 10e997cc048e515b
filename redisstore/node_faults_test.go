package redisstore_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestNodesThatMustJoinAgain(t *testing.T) {
	t.Parallel()
	onEverySite(t, map[string]func(*site){
		"a node whose lease has expired in one shard joins again": joinsAgain,
		"the store is emptied":                                     emptied,
		"a node whose process has ended is removed":                expires,
		"an inbox is full: the node is notified of missed changes": missed,
		"concurrent holds and releases":                            manyHolds,
	})
}

var changeMissed = store.Change{Kind: store.ChangeMissed}

// serverOf returns the server that stores a shard.
func (s *site) serverOf(shard int) *redistest.Server {
	s.Helper()
	for _, server := range s.servers {
		if len(matching(s, server, s.prefix(shard)+"n")) == 1 {
			return server
		}
	}
	require.FailNow(s, "no server has the shard", "%d", shard)
	return nil
}

func joinsAgain(s *site) {
	a, b := s.node(), s.node()
	var recs []store.Record
	for range 300 {
		rec := a.set(newRecord())
		b.hold(rec.ID, rec.ClientID)
		recs = append(recs, rec)
	}
	gone, name := recs[0], b.name()
	require.NoError(s, b.Release(s.Context(), gone.ID, gone.ClientID))
	last := s.shards - 1
	s.serverOf(last).Do("DEL", s.prefix(last)+"i"+name)
	b.expect(changeMissed)
	require.NotEqual(s, name, b.name())
	a.end(gone.ID, "not held")
	for _, rec := range recs[1:] {
		a.end(rec.ID, "x")
		b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "x"})
		require.NoError(s, a.Announce(s.Context(), rec.ClientID, rec.ID))
		b.expect(store.Change{Kind: store.ChangeClient, ID: rec.ID, ClientID: rec.ClientID})
	}
	require.Eventually(s, func() bool { // the old name is deregistered
		return !slices.ContainsFunc(s.keysOf("hkoi"), func(key string) bool { return strings.Contains(key, name) })
	}, patience, tick)
	nodes, err := a.Nodes(s.Context())
	require.NoError(s, err)
	require.Equal(s, names(b), nodes)
}

func emptied(s *site) {
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	b.hold(rec.ID, "c")
	s.empty()
	b.expect(changeMissed)
	a.expect(changeMissed)
	rec.Revision = 0
	rec = a.set(rec)
	b.expect(store.Change{Kind: store.ChangeAccess, ID: rec.ID})
	require.NoError(s, a.Announce(s.Context(), "c", rec.ID))
	b.expect(store.Change{Kind: store.ChangeClient, ClientID: "c", ID: rec.ID})
	b.hold("another", "")
	require.Equal(s, names(b), holders(s, a, []string{rec.ID}, nil))
	require.Equal(s, names(b), holders(s, a, []string{"another"}, nil))
}

func expires(s *site) {
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	a.hold(rec.ID, "")
	b.hold(rec.ID, rec.ClientID)
	for i := range 1200 {
		b.hold(fmt.Sprint("session", i), "")
	}
	name := b.name()
	require.NoError(s, redisstore.Stop(s.Context(), b.Node))
	require.NoError(s, a.Send(s.Context(), []string{name}, []byte("unread")))
	for shard := range s.shards { // simulates the 15 seconds of a lease
		server := s.serverOf(shard)
		server.Do("PEXPIRE", s.prefix(shard)+"i"+name, "1")
		server.Do("ZADD", s.prefix(shard)+"n", "XX", "1", name)
	}
	require.Eventually(s, func() bool {
		nodes, err := a.Nodes(s.Context())
		require.NoError(s, err)
		return len(nodes) == 0 && len(holders(s, a, []string{rec.ID}, nil)) == 0
	}, patience, tick)
	rec.TokenHash[0]++
	rec = a.set(rec)
	require.NoError(s, a.Announce(s.Context(), rec.ClientID, rec.ID))
	require.NoError(s, a.Send(s.Context(), []string{name}, nil))
	require.Eventually(s, func() bool {
		left := s.keysOf("hkoib")
		return len(left) == 2+s.shards && !slices.ContainsFunc(left, func(key string) bool { return strings.Contains(key, name) })
	}, patience, tick, "a's hold and its inboxes remain")
	require.Empty(s, b.told())
}

func missed(s *site) {
	a, b := s.node(), s.node()
	b.stall()
	require.NoError(s, a.Send(s.Context(), names(b), []byte("first")))
	<-b.stalled
	const messages = 5000
	for i := range messages / 100 {
		require.NoError(s, a.Send(s.Context(), slices.Repeat(names(b), 100), []byte{byte(i)}))
	}
	b.resume()
	var got []store.Change
	require.Eventually(s, func() bool {
		got = append(got, b.told()...)
		n := 0
		for _, c := range got {
			if string(c.Data) == string([]byte{messages/100 - 1}) {
				n++
			}
		}
		return n == 100
	}, patience, tick)
	require.Equal(s, "first", string(got[0].Data))
	require.Equal(s, changeMissed, got[1])
	require.Less(s, len(got), messages)
	for i, c := range got[2:] {
		require.Equal(s, store.ChangeMessage, c.Kind, "once")
		if i > 0 {
			require.GreaterOrEqual(s, c.Data[0], got[i+1].Data[0], "the later messages are complete and in order")
		}
	}
}

func manyHolds(s *site) {
	a, b := s.node(), s.node()
	const n = 500
	failures := make([]error, n)
	inParallel(n, func(i int) {
		id := fmt.Sprint("session", i)
		for range 3 {
			if failures[i] = b.Hold(s.Context(), id, ""); failures[i] != nil {
				return
			}
			if failures[i] = b.Release(s.Context(), id, ""); failures[i] != nil {
				return
			}
		}
		if i%2 == 0 {
			failures[i] = b.Hold(s.Context(), id, "")
		}
	})
	for i, err := range failures {
		require.NoError(s, err)
		require.Equal(s, i%2 == 0, len(holders(s, a, []string{fmt.Sprint("session", i)}, nil)) == 1)
	}
}

// TestNodeDuringAnOutage: calls wait or fail, Contact reports when the server was last reached, and
// the node recovers when Redis is back.
func TestNodeDuringAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 4}
	a, b := s.node(), s.node()
	late := begin(t, open(t, s.url, nil))
	rec := a.set(newRecord())
	b.hold(rec.ID, "")
	server.Kill()
	away := time.Now()
	early := begin(t, storeOf(t, a))
	require.Zero(t, early.Contact(), "Watch doesn't wait for Redis")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := early.Hold(ctx, rec.ID, "")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "hasn't joined")
	require.Error(t, early.Send(ctx, []string{"x"}, nil))
	require.Error(t, b.Hold(t.Context(), "other", ""))
	_, err = b.Nodes(t.Context())
	require.Error(t, err)
	_, err = b.Holders(t.Context(), []string{rec.ID}, nil)
	require.Error(t, err)
	require.Error(t, b.Announce(t.Context(), "c", "s"))
	require.Error(t, late.Leave(t.Context()), "the others notice when its lease expires")
	require.False(t, b.Contact().Answered.After(away))
	require.False(t, b.Contact().Heard.After(away))

	server.Restart() // without any data
	b.expect(changeMissed)
	require.Eventually(t, func() bool { return b.Contact().Answered.After(away) && b.Contact().Heard.After(away) }, patience, tick)
	early.hold(rec.ID, "")
	require.Eventually(t, func() bool {
		nodes, err := early.Nodes(t.Context())
		return err == nil && len(nodes) == 2
	}, patience, tick)
	rec.Revision = 0
	rec = a.set(rec)
	for _, p := range []*peer{b, early} {
		p.expect(store.Change{Kind: store.ChangeAccess, ID: rec.ID})
	}
	require.NoError(t, early.Leave(t.Context()))
}

// storeOf returns the store of a node.
func storeOf(t *testing.T, p *peer) store.Watcher {
	t.Helper()
	return p.Node.(store.Watcher)
}

// TestCloseWhileRedisIsAway: no call blocks, and no goroutine remains.
func TestCloseWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*redistest.Server){"gone": (*redistest.Server).Kill, "silent": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			st := open(t, server.URL(), &redisstore.Options{Timeout: 2 * time.Second, Shards: 3})
			a, b := watch(t, st), watch(t, st)
			a.hold("s", "c")
			_, err := st.LockUser(t.Context(), "ada")
			require.NoError(t, err)
			away(server)
			clock := redistest.Start(t).Clock()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			require.Error(t, b.Leave(ctx))
			require.Less(t, clock.Elapsed(), 5*time.Second)
			require.NoError(t, st.Close())
			require.Less(t, clock.Elapsed(), 10*time.Second)
			require.ErrorIs(t, a.Hold(t.Context(), "s", ""), store.ErrClosed)
			require.ErrorIs(t, a.Release(t.Context(), "s", ""), store.ErrClosed)
			_, err = a.Nodes(t.Context())
			require.ErrorIs(t, err, store.ErrClosed)
			require.NoError(t, a.Leave(t.Context()))
			after := begin(t, st)
			require.ErrorIs(t, after.Hold(t.Context(), "s", ""), store.ErrClosed)
			require.NoError(t, after.Leave(t.Context()))
		})
	}
}

// TestNodeOfAnUnresponsiveServer: Contact reports when the server was last reached. Changes made
// after the server resumes are reported.
func TestNodeOfAnUnresponsiveServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 2}
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	b.hold(rec.ID, "")
	server.Pause()
	at := time.Now()
	require.Eventually(t, func() bool { return time.Since(b.Contact().Answered) > 2*time.Second }, patience, tick)
	require.False(t, b.Contact().Answered.After(at))
	server.Resume()
	require.Eventually(t, func() bool {
		_, err := a.End(t.Context(), rec.ID, "x", 0)
		return err == nil
	}, patience, tick)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "x"})
	require.Eventually(t, func() bool { return b.Contact().Answered.After(at) && b.Contact().Heard.After(at) }, patience, tick)
}

// TestExpiredNodeIsRemovedWithin15Seconds: the others notice that its process has ended, and what
// it held is removed.
func TestExpiredNodeIsRemovedWithin15Seconds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 3}
	a, b := s.node(), s.node()
	b.hold("s", "c")
	name := b.name()
	require.Equal(t, []string{name}, holders(s, a, []string{"s"}, nil))
	require.Eventually(t, func() bool { return shortestLease(s, name) > 14*time.Second }, patience, tick, "renewed with each heartbeat")
	require.NoError(t, redisstore.Stop(t.Context(), b.Node))
	began, clock := time.Now(), server.Clock()
	last := shortestLease(s, name)
	require.Eventually(t, func() bool {
		nodes, err := a.Nodes(t.Context())
		require.NoError(t, err)
		return len(nodes) == 0 && len(holders(s, a, []string{"s"}, []string{"c"})) == 0
	}, patience, 50*time.Millisecond)
	require.Greater(t, time.Since(began), last-time.Second, "not before its lease has expired")
	require.Less(t, clock.Elapsed(), 15500*time.Millisecond)
	require.Eventually(t, func() bool { return len(s.keysOf("hko")) == 0 && len(s.keysOf("i")) == s.shards }, patience, tick)
}

// shortestLease returns the shortest remaining lease of a node over all shards.
func shortestLease(s *site, name string) time.Duration {
	s.Helper()
	shortest := time.Duration(math.MaxInt64)
	for shard := range s.shards {
		shortest = min(shortest, ttl(s, s.serverOf(shard), s.prefix(shard)+"i"+name))
	}
	return shortest
}

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// everything is all capabilities of a store.
type everything interface {
	store.Node
	store.Lister
	store.Toucher
	store.Sweeper
	store.UserIndex
	store.ClientIndex
	store.ActivityIndex
	store.ActiveLister
	store.Optimizer
	store.Pinger
	store.Namespacer
}

// nodeStore is a node that closes the store that it belongs to.
type nodeStore struct {
	everything
	root *redisstore.Store
}

func (s nodeStore) Close() error { return s.root.Close() }

func (s nodeStore) App(name string) store.Store {
	if name == "" {
		return s
	}
	return s.everything.App(name)
}

// TestContractOfANode: a node is a complete store.
func TestContractOfANode(t *testing.T) {
	t.Parallel()
	open := shared(t, redistest.Start(t).URL())
	contract(t, func(t *testing.T, namespace string) store.Store {
		st := open(t, &redisstore.Options{Namespace: namespace, Shards: 2})
		return nodeStore{watch(t, st).Node.(everything), st}
	})
}

// TestS22_KeysOfNodesEndAndCarryNoSecret: every key expires.
func TestS22_KeysOfNodesEndAndCarryNoSecret(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 2}
	a, b := s.node(), s.node()
	for i := range 50 {
		rec := a.set(newRecord(func(rec *store.Record) {
			rec.UserID, rec.ClientID = fmt.Sprint("secret-user-", i), fmt.Sprint("secret-client-", i)
		}))
		for _, p := range []*peer{a, b} {
			p.hold(rec.ID, rec.ClientID)
		}
	}
	unlock, err := a.Node.(store.UserLocker).LockUser(t.Context(), "secret-user-1")
	require.NoError(t, err)
	found := map[string]bool{}
	for _, key := range s.keysOf("hkoinl") {
		kind := key[len(s.prefix(0)):][:1]
		found[kind] = true
		left := ttl(t, server, key)
		longest := 2 * day
		switch kind {
		case "i":
			longest = 15 * time.Second
		case "l":
			longest = 10 * time.Second
		}
		require.Positive(t, left, key)
		require.LessOrEqual(t, left, longest, key)
		require.NotContains(t, key, "secret")
	}
	require.Len(t, found, 6)
	require.NoError(t, unlock(t.Context()))
}

// TestS22_NodesOfAUserWithFewRights: the documented rule suffices for nodes.
func TestS22_NodesOfAUserWithFewRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">password"}, strings.Fields(rights)...)...)
	server.Do("CONFIG", "RESETSTAT")
	s := &site{T: t, servers: []*redistest.Server{server}, url: "redis://sessions:password@" + server.Addr(), shards: 2}
	for i, do := range []func(*site){toldOnce, toldOfTheEnd, toldToHolders, toldOfClients, messages, whoHolds, loginWaits, expires, leaving} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := *s
			s.T, s.namespace = t, fmt.Sprint("sb:", i)
			do(&s)
		})
	}
	for name, stat := range server.Info("commandstats") {
		if strings.HasPrefix(name, "cmdstat_") && !strings.HasPrefix(name, "cmdstat_eval") {
			require.Contains(t, stat, "rejected_calls=0", name)
		}
	}
	log := server.Do("ACL", "LOG")
	entries, err := log.ToArray()
	require.NoError(t, err)
	require.Empty(t, entries, "no command was rejected")
}

// TestNodesUnderStress: nodes update, end and hold sessions at random, while leases are lost and
// connections are closed. A node that holds a session all the time is notified of its end, or that
// it may have missed it.
func TestNodesUnderStress(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 3}
	const sessions, watchers = 400, 3
	writer := s.node()
	var recs []store.Record
	for range sessions {
		recs = append(recs, writer.set(newRecord()))
	}
	peers := make([]*peer, watchers)
	for i := range peers {
		peers[i] = s.node()
		for _, rec := range recs {
			peers[i].hold(rec.ID, "")
		}
	}
	rnd := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // no secret
	for i, rec := range recs {
		if i%40 == 20 {
			shard := rnd.IntN(s.shards)
			server.Do("DEL", s.prefix(shard)+"i"+peers[rnd.IntN(watchers)].name())
		}
		if i%50 == 30 {
			server.Do("CLIENT", "KILL", "TYPE", "pubsub")
		}
		require.Eventually(t, func() bool {
			revision, err := writer.Set(t.Context(), rec)
			if err == nil {
				rec.Revision = revision
			}
			return err == nil || errors.Is(err, store.ErrConflict)
		}, patience, tick)
		require.Eventually(t, func() bool {
			_, err := writer.End(t.Context(), rec.ID, "x", 0)
			return err == nil
		}, patience, tick)
	}
	for _, p := range peers {
		ended := map[string]int{}
		var got []store.Change
		misses := 0
		require.Eventually(t, func() bool {
			for _, c := range p.told() {
				got = append(got, c)
				switch c.Kind {
				case store.ChangeMissed:
					misses++
					for _, rec := range recs { // the node checks all sessions
						if _, err := writer.Get(context.WithoutCancel(t.Context()), rec.ID); errors.Is(err, store.ErrNotFound) {
							ended[rec.ID] += 0
						}
					}
				case store.ChangeEnded:
					ended[c.ID]++
				}
			}
			return len(ended) == sessions
		}, patience, tick)
		for id, times := range ended {
			require.LessOrEqual(t, times, 1, "told once: %s", id)
		}
		require.False(t, slices.ContainsFunc(got, func(c store.Change) bool { return c.Kind == 0 }))
		t.Logf("%d changes, %d times something may have been missed", len(got), misses)
	}
}

package redisstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestNodes(t *testing.T) {
	t.Parallel()
	onEverySite(t, map[string]func(*site){
		"changes through a node are reported to the other holders, once": toldOnce,
		"ChangeAccess: another token or user, or an earlier expiry":      toldOfAccess,
		"ChangeEnded has the reason":                                     toldOfTheEnd,
		"only changes of held sessions and clients are reported":         toldToHolders,
		"the changes of a session are reported in order":                 toldInOrder,
		"ChangeClient is reported to the holders of the client":          toldOfClients,
		"messages reach their recipients":                                messages,
		"Holders and Nodes return the others, each once":                 whoHolds,
		"after Leave no change is reported, and no key remains":          leaving,
		"changes without a node are reported to all holders":             withoutANode,
		"a node has all capabilities and sessions of the store":          isTheStore,
	})
}

func toldOnce(s *site) {
	a, b, c := s.node(), s.node(), s.node()
	rec := a.set(newRecord())
	for _, p := range []*peer{a, b, c} {
		p.hold(rec.ID, "")
		p.hold(rec.ID, "") // no effect
	}
	rec.TokenHash[0]++
	rec = b.set(rec)
	a.expect(store.Change{Kind: store.ChangeAccess, ID: rec.ID})
	c.expect(store.Change{Kind: store.ChangeAccess, ID: rec.ID})
	a.end(rec.ID, "logout")
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "logout"})
	c.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "logout"})
	for _, p := range []*peer{b, c} {
		p.expectNothing(a, s.shards)
	}
	a.expectNothing(b, s.shards)
}

func toldOfAccess(s *site) {
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	b.hold(rec.ID, "")
	for _, change := range []func(){
		func() { rec.TokenHash[5]++ },
		func() { rec.UserID = "bob" },
		func() { rec.UserID = "" },
		func() { rec.Expires = rec.Expires.Add(-time.Second) },
		func() { rec.TokenHash[0]++; rec.UserID = "eve" },
		func() { rec.Seen = rec.Seen.Add(time.Minute); rec.Expires = rec.Expires.Add(-time.Second) },
	} {
		change()
		rec = a.set(rec)
		b.expect(store.Change{Kind: store.ChangeAccess, ID: rec.ID})
	}
	for _, change := range []func(){
		func() { rec.Data = []byte(`{"n":1}`) },
		func() { rec.Expires = rec.Expires.Add(time.Hour) },
		func() { rec.Expires = time.Time{} }, // never
	} {
		change()
		rec = a.set(rec)
		b.expect(store.Change{Kind: store.ChangeStored, ID: rec.ID})
	}
	rec.Expires = rec.Seen.Add(10000 * time.Hour)
	rec = a.set(rec)
	b.expect(store.Change{Kind: store.ChangeAccess, ID: rec.ID})
	require.NoError(s, a.Node.(store.Toucher).Touch(s.Context(), rec.ID, rec.Seen.Add(time.Hour)))
	b.expectNothing(a, s.shards)
	b.hold("not-yet", "")
	rec = newRecord(func(rec *store.Record) { rec.ID = "not-yet" })
	a.set(rec)
	b.expect(store.Change{Kind: store.ChangeAccess, ID: "not-yet"})
}

func toldOfTheEnd(s *site) {
	a, b := s.node(), s.node()
	var recs []store.Record
	for range 40 {
		rec := a.set(newRecord())
		b.hold(rec.ID, rec.ClientID)
		recs = append(recs, rec)
	}
	for i, reason := range []string{"", "logout", strings.Repeat("r", 64)} {
		a.end(recs[i].ID, reason)
		b.expect(store.Change{Kind: store.ChangeEnded, ID: recs[i].ID, Reason: reason})
	}
	_, err := a.Destroy(s.Context(), recs[3].ID)
	require.NoError(s, err)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: recs[3].ID})
	was, err := a.End(s.Context(), recs[3].ID, "again", 0)
	require.NoError(s, err)
	require.False(s, was)
	a.end(recs[4].ID, strings.Repeat("r", 100))
	b.expect(store.Change{Kind: store.ChangeEnded, ID: recs[4].ID, Reason: strings.Repeat("r", 64)})

	swept, err := a.Node.(store.Sweeper).Sweep(s.Context(), time.Now().Add(100*day), 100)
	require.NoError(s, err)
	require.Len(s, swept, 35)
	want := map[string]bool{}
	for _, rec := range swept {
		want[rec.ID] = true
	}
	require.Eventually(s, func() bool {
		for _, c := range b.told() {
			require.Equal(s, store.Change{Kind: store.ChangeEnded, ID: c.ID, Reason: store.ReasonSwept}, c)
			require.True(s, want[c.ID])
			delete(want, c.ID)
		}
		return len(want) == 0
	}, patience, tick)
	b.expectNothing(a, s.shards)
	require.Empty(s, s.keysOf("h"))
}

func toldToHolders(s *site) {
	a, b := s.node(), s.node()
	rec, other := a.set(newRecord()), a.set(newRecord())
	b.hold(rec.ID, rec.ClientID)
	other.TokenHash[0]++
	other = a.set(other)
	a.end(other.ID, "x")
	require.NoError(s, a.Announce(s.Context(), other.ClientID, other.ID))
	b.expectNothing(a, s.shards)

	require.NoError(s, b.Release(s.Context(), rec.ID, ""))
	rec.TokenHash[0]++
	rec = a.set(rec)
	require.NoError(s, a.Announce(s.Context(), rec.ClientID, rec.ID))
	b.expect(store.Change{Kind: store.ChangeClient, ClientID: rec.ClientID, ID: rec.ID})
	require.NoError(s, b.Release(s.Context(), "", rec.ClientID))
	require.NoError(s, a.Announce(s.Context(), rec.ClientID, rec.ID))
	require.Empty(s, s.keysOf("hko"))
	b.expectNothing(a, s.shards)
	b.hold(rec.ID, "")
	a.end(rec.ID, "y")
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "y"})
	require.NoError(s, b.Release(s.Context(), rec.ID, rec.ClientID), "items that are not held")
}

func toldInOrder(s *site) {
	a, b := s.node(), s.node()
	const n = 1500 // more than are read at once
	rec := a.set(newRecord())
	b.hold(rec.ID, "")
	var want []store.Change
	for i := range n {
		rec.UserID = fmt.Sprint("user", i)
		rec = a.set(rec)
		want = append(want, store.Change{Kind: store.ChangeAccess, ID: rec.ID})
	}
	a.end(rec.ID, "done")
	b.expect(append(want, store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "done"})...)
}

func toldOfClients(s *site) {
	a, b, c := s.node(), s.node(), s.node()
	const client = "a client"
	a.hold("", client)
	b.hold("", client)
	c.hold("", "another")
	require.NoError(s, a.Announce(s.Context(), client, "session-1"))
	b.expect(store.Change{Kind: store.ChangeClient, ClientID: client, ID: "session-1"})
	a.expectNothing(b, s.shards)
	c.expectNothing(b, s.shards)
}

func messages(s *site) {
	a, b, c := s.node(), s.node(), s.node()
	to := []string{b.name(), c.name()}
	for _, data := range []string{"", "hello", strings.Repeat("\x00\xff", 10_000)} {
		require.NoError(s, a.Send(s.Context(), to, []byte(data)))
		for _, p := range []*peer{b, c} {
			p.expect(store.Change{Kind: store.ChangeMessage, From: a.name(), Data: []byte(data)})
		}
	}
	require.NoError(s, b.Send(s.Context(), []string{a.name()}, []byte("back")))
	a.expect(store.Change{Kind: store.ChangeMessage, From: b.name(), Data: []byte("back")})
	require.NoError(s, a.Send(s.Context(), []string{"nobodyyy"}, []byte("?")), "a node that doesn't exist")
	require.NoError(s, a.Send(s.Context(), nil, []byte("?")))
	c.expectNothing(b, s.shards)
}

func whoHolds(s *site) {
	a, b, c := s.node(), s.node(), s.node()
	require.Empty(s, holders(s, a, []string{"s"}, []string{"c"}))
	a.hold("s", "c")
	b.hold("s", "")
	c.hold("s2", "c")
	require.Equal(s, names(b), holders(s, a, []string{"s"}, nil))
	require.Equal(s, names(c), holders(s, a, nil, []string{"c"}))
	require.ElementsMatch(s, names(b, c), holders(s, a, []string{"s", "s2", "s3"}, []string{"c", "c2"}))
	require.ElementsMatch(s, names(a, b), holders(s, c, []string{"s"}, []string{"c"}))
	nodes, err := b.Nodes(s.Context())
	require.NoError(s, err)
	require.ElementsMatch(s, names(a, c), nodes)
}

func names(peers ...*peer) (all []string) {
	for _, p := range peers {
		all = append(all, p.name())
	}
	return all
}

func holders(s *site, p *peer, sessions, clients []string) []string {
	s.Helper()
	all, err := p.Holders(s.Context(), sessions, clients)
	require.NoError(s, err)
	return all
}

func leaving(s *site) {
	a, b := s.node(), s.node()
	rec := a.set(newRecord())
	for i := range 1200 { // more than are removed at once
		b.hold(fmt.Sprint("session", i), "")
	}
	b.hold(rec.ID, rec.ClientID)
	require.Greater(s, len(s.keysOf("hkoin")), 1200)
	require.NoError(s, b.Leave(s.Context()))
	a.end(rec.ID, "logout")
	require.NoError(s, a.Send(s.Context(), names(b), []byte("?")))
	require.NoError(s, b.Leave(s.Context()), "again")
	nodes, err := a.Nodes(s.Context())
	require.NoError(s, err)
	require.Empty(s, nodes)
	require.ErrorIs(s, b.Hold(s.Context(), "x", ""), store.ErrClosed)
	require.NoError(s, a.Leave(s.Context()))
	require.Empty(s, b.told())
	require.Empty(s, s.keysOf("hkoin"), "no key remains")
}

func withoutANode(s *site) {
	a := s.node()
	st := store.Store(open(s, s.url, &redisstore.Options{Namespace: s.namespace}))
	if s.app != "" {
		st = st.(store.Namespacer).App(s.app)
	}
	rec := create(s, st)
	a.hold(rec.ID, "")
	_, err := st.(store.Ender).End(context.WithoutCancel(s.Context()), rec.ID, "admin", 0)
	require.NoError(s, err)
	a.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "admin"})
}

func isTheStore(s *site) {
	a := s.node()
	rec := a.set(newRecord())
	require.Equal(s, []string{rec.ID}, collect(s, a.Node.(store.Lister).List(s.Context())))
	require.Equal(s, []string{rec.ID}, collect(s, a.Node.(store.UserIndex).ByUser(s.Context(), "ada")))
	require.Equal(s, []string{rec.ID}, collect(s, a.Node.(store.ClientIndex).ByClient(s.Context(), rec.ClientID)))
	require.Equal(s, []string{rec.ID}, collect(s, a.Node.(store.ActivityIndex).ActiveSince(s.Context(), time.Time{})))
	require.Implements(s, (*store.ActiveLister)(nil), a.Node)
	require.Implements(s, (*store.UserLocker)(nil), a.Node)
	require.NoError(s, a.Node.(store.Optimizer).Optimize(s.Context()))
	require.NoError(s, a.Node.(store.Pinger).Ping(s.Context()))
	require.NotNil(s, a.Node.(store.Namespacer).App("other"))
	at := time.Now()
	require.Eventually(s, func() bool { return a.Contact().Answered.After(at) && a.Contact().Heard.After(at) }, patience, tick)
}

// TestNodeOfAClientOfTheCaller: a node works with a client with default options, and doesn't close
// it.
func TestNodeOfAClientOfTheCaller(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr()}})
	require.NoError(t, err)
	defer client.Close()
	st, err := redisstore.New(t.Context(), client, nil)
	require.NoError(t, err)
	a, b := watch(t, st), watch(t, st)
	rec := a.set(newRecord())
	b.hold(rec.ID, "")
	a.end(rec.ID, "x")
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "x"})
	require.NoError(t, a.Leave(t.Context()))
	channels := func() int {
		answer := server.Do("PUBSUB", "SHARDCHANNELS")
		names, err := answer.AsStrSlice()
		require.NoError(t, err)
		return len(names)
	}
	require.Equal(t, 1, channels(), "a has unsubscribed")
	require.NoError(t, st.Close())
	require.Zero(t, channels())
	require.NoError(t, client.Do(t.Context(), client.B().Ping().Build()).Error())
}

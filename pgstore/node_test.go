package pgstore_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/pgstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// nodeStore is what a node does itself: changes, of which it isn't notified. What it reads, it reads as the
// store does.
type nodeStore struct {
	store.Store
	store.Toucher
	store.Sweeper
	store.Ender
	store.UserLocker
	store.Keeper
	io.Closer
}

// TestContractOfASealedNode: a node makes changes as a store does, and package sealed keeps the contract
// around it.
func TestContractOfASealedNode(t *testing.T) {
	t.Parallel()
	contract(t, func(t *testing.T) store.Store {
		st := shared.fresh(t)
		node := watch(t, st).Node.(everything)
		return seal(t, nodeStore{node, node, node, node, node, node, st})
	})
}

// everything is all capabilities of a node.
type everything interface {
	store.Node
	store.Reserver
	store.Lister
	store.Toucher
	store.Sweeper
	store.UserIndex
	store.ClientIndex
	store.ClientOrder
	store.ActivityIndex
	store.ActiveLister
	store.Optimizer
	store.Pinger
	store.Namespacer
	store.Ender
	store.UserLocker
	store.Keeper
}

// watchedStore is a store that other processes use, without indexes and listings, whose cases need none of
// it.
type watchedStore struct {
	store.Store
	store.Watcher
	store.Ender
	store.UserLocker
	io.Closer
}

// TestContractOfSealedNodes: package sealed keeps the contract of what nodes tell each other.
func TestContractOfSealedNodes(t *testing.T) {
	t.Parallel()
	contract(t, func(t *testing.T) store.Store {
		st := shared.fresh(t)
		return seal(t, watchedStore{st, st, st, st, st})
	})
}

func TestStoredSessionsAreHintedAt(t *testing.T) {
	t.Parallel()
	st := fresh(t)
	a, b := watch(t, st), watch(t, st)
	rec := create(t, a)
	b.hold(rec.ID, "")
	b.heard()
	rec.Data = []byte(`{"n":1}`)
	_, err := a.Set(t.Context(), rec)
	require.NoError(t, err)
	b.expect(store.Change{Kind: store.ChangeStored, ID: rec.ID})
}

// TestMissedChangesAreReportedByANodeThatHolds: a node that has lost entries of its inbox, and that the
// server doesn't know any more, reports that when it holds again what it held. So it misses no change after
// the report.
func TestMissedChangesAreReportedByANodeThatHolds(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	rec := create(t, open(t, s.URL(), &pgstore.Options{Schema: schema}))
	short := pgstore.Options{Schema: schema, Timeout: 500 * time.Millisecond, NoMigrate: true}
	holders := make(chan int64, 1)
	node := open(t, s.URL(), &short).Watch(func(c store.Change) {
		if c.Kind != store.ChangeMissed {
			return
		}
		select {
		case holders <- s.QueryInt(t, "SELECT count(*) FROM "+quoted(schema)+".holdings WHERE item = $1", rec.ID):
		default:
		}
	})
	t.Cleanup(func() { _ = node.Leave(context.WithoutCancel(t.Context())) })
	require.Eventually(t, func() bool { return node.Hold(t.Context(), rec.ID, "") == nil }, patience, tick)

	tx, err := connectTo(t, s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE "+quoted(schema)+".inbox")
	require.NoError(t, err)
	waiting := func() int64 {
		return s.QueryInt(t, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass",
			quoted(schema)+".inbox")
	}
	for _, n := range []int64{1, 0, 1} { // the node waits for its inbox, gives up, and tries again
		require.Eventually(t, func() bool { return waiting() == n }, patience, tick/4)
	}
	_, err = tx.Exec(t.Context(), strings.ReplaceAll(`SELECT $s.remove_node(name) FROM $s.nodes`, "$s", quoted(schema)))
	require.NoError(t, err)
	require.NoError(t, tx.Commit(context.WithoutCancel(t.Context())))
	require.EqualValues(t, 1, <-holders)
}

// TestNodesAfterACrash: the server forgets its nodes. They join again, hold what they held, and are
// told that they may have missed changes.
func TestNodesAfterACrash(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	st := open(t, s.URL(), nil)
	a, b := watch(t, open(t, s.URL(), nil)), watch(t, st)
	rec, other := create(t, a), create(t, a)
	b.hold(rec.ID, rec.ClientID)
	b.hold(other.ID, "")
	s.Kill()
	_, err := b.Get(t.Context(), rec.ID)
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrNotFound)
	s.Restart(t)
	b.expect(store.Change{Kind: store.ChangeMissed})
	got, err := b.Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec, got, "what was acknowledged is stored")

	require.Eventually(t, func() bool { // a may not have joined again yet
		_, err := a.End(t.Context(), rec.ID, "logout", 0)
		return err == nil
	}, patience, tick)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "logout"})
	b.heard()
	_, err = a.Destroy(t.Context(), other.ID)
	require.NoError(t, err)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: other.ID})
}

// TestNodesAfterARestart: what a node has to be told survives a shutdown of the server.
func TestNodesAfterARestart(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	a, b := watch(t, open(t, s.URL(), nil)), watch(t, open(t, s.URL(), nil))
	rec := create(t, a)
	b.hold(rec.ID, "")
	s.Stop()
	s.Restart(t)
	require.Eventually(t, func() bool {
		_, err := a.End(t.Context(), rec.ID, "logout", 0)
		return err == nil
	}, patience, tick)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID, Reason: "logout"})
}

// TestG4_NodesWithoutNotifications: where notifications don't arrive, a node learns of changes
// within about a second.
func TestG4_NodesWithoutNotifications(t *testing.T) {
	t.Parallel()
	s := server.Server(t)
	s.Exec(t, `CREATE SCHEMA IF NOT EXISTS deaf; CREATE OR REPLACE FUNCTION deaf.pg_notify(text, text)
		RETURNS void LANGUAGE sql AS 'SELECT'`)
	schema := newSchema()
	st := open(t, s.URL()+"?search_path=deaf,pg_catalog", &pgstore.Options{Schema: schema})
	a, b := watch(t, st), watch(t, st)
	rec := create(t, a)
	b.hold(rec.ID, "")
	began := time.Now()
	_, err := a.Destroy(t.Context(), rec.ID)
	require.NoError(t, err)
	b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID})
	require.Less(t, time.Since(began), 5*time.Second)
	require.Zero(t, b.Contact().Heard)
	require.NotZero(t, b.Contact().Answered)
}

// TestNodesThatEndWithoutLeaving: others no longer see them after at most 15 seconds, and remove what
// they held.
func TestNodesThatEndWithoutLeaving(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	a := watch(t, open(t, s.URL(), &pgstore.Options{Schema: schema}))
	gone, err := pgstore.Open(t.Context(), s.URL(), &pgstore.Options{Schema: schema})
	require.NoError(t, err)
	b := watch(t, gone)
	rec := create(t, a)
	b.hold(rec.ID, rec.ClientID)
	require.NoError(t, gone.Close())
	nodes, err := a.Nodes(t.Context())
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	lease := time.Duration(s.QueryInt(t, `SELECT extract(epoch FROM until - clock_timestamp()) * 1e9
		FROM `+quoted(schema)+`.nodes WHERE name = $1`, nodes[0]))
	require.LessOrEqual(t, lease, 12*time.Second)
	require.Greater(t, lease, 5*time.Second, "it survives a few renewals that fail")
	s.Exec(t, "UPDATE "+quoted(schema)+".nodes SET until = clock_timestamp() WHERE name = '"+nodes[0]+"'")
	nodes, err = a.Nodes(t.Context())
	require.NoError(t, err)
	require.Empty(t, nodes)
	require.Eventually(t, func() bool {
		return s.QueryInt(t, `SELECT count(*) FROM `+quoted(schema)+`.holdings WHERE item = $1`, rec.ID) == 0
	}, patience, tick)
}

// TestG5_HoldOrTheChangeComesFirst: a change that is stored while a node begins to hold the session is
// either visible when Hold returns, or reported.
func TestG5_HoldOrTheChangeComesFirst(t *testing.T) {
	t.Parallel()
	st := fresh(t)
	a, b := watch(t, st), watch(t, st)
	for range 100 {
		rec := create(t, a)
		ended := make(chan error, 1)
		go func() {
			_, err := a.Destroy(t.Context(), rec.ID)
			ended <- err
		}()
		b.hold(rec.ID, "")
		_, err := b.Get(t.Context(), rec.ID)
		require.NoError(t, <-ended)
		if !errors.Is(err, store.ErrNotFound) {
			require.NoError(t, err)
			b.expect(store.Change{Kind: store.ChangeEnded, ID: rec.ID})
		}
	}
}

// TestNodesUnderStress: nodes update, end and hold sessions, while their connections are closed and
// the server forgets them. A node that holds a session is notified of its end, or that it may have
// missed it.
func TestNodesUnderStress(t *testing.T) {
	t.Parallel()
	s, schema := server.Server(t), newSchema()
	url := s.URL() + "?application_name=" + "stressed"
	st := open(t, url, &pgstore.Options{Schema: schema})
	const sessions = 200
	writer, reader := watch(t, st), watch(t, open(t, url, &pgstore.Options{Schema: schema}))
	var recs []store.Record
	for range sessions {
		rec := create(t, writer)
		recs = append(recs, rec)
		reader.hold(rec.ID, "")
	}
	for i, rec := range recs {
		if i%40 == 20 {
			s.Exec(t, "DELETE FROM "+quoted(schema)+".nodes")
		}
		if i%50 == 30 {
			s.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stressed'")
		}
		require.Eventually(t, func() bool {
			_, err := writer.End(t.Context(), rec.ID, "x", 0)
			return err == nil
		}, patience, tick)
	}
	ended := map[string]int{}
	require.Eventually(t, func() bool {
		reader.mu.Lock()
		changes := reader.changes
		reader.changes = nil
		reader.mu.Unlock()
		if slices.ContainsFunc(changes, func(c store.Change) bool { return c.Kind == store.ChangeMissed }) {
			for _, rec := range recs { // the node checks all sessions
				if _, err := reader.Get(t.Context(), rec.ID); errors.Is(err, store.ErrNotFound) {
					ended[rec.ID] += 0
				}
			}
		}
		for _, c := range changes {
			if c.Kind == store.ChangeEnded {
				ended[c.ID]++
			}
		}
		return len(ended) == sessions
	}, patience, tick)
	for id, times := range ended {
		require.LessOrEqual(t, times, 1, "told once: %s", id)
	}
}

package nodecalls_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/activity"
	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/nodecalls"
	"github.com/sessionbridge/sessionbridge/internal/outbox"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// node is a node with connections, which are their IDs.
type node struct {
	*nodecalls.Calls[string, int]
	cluster *cluster.Node
	conns   []string
	silent  bool // it doesn't answer

	mu    sync.Mutex
	asked []string
}

func (n *node) note(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, what)
}

// heard returns what the node was asked since the last call.
func (n *node) heard() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	heard := n.asked
	n.asked = nil
	return heard
}

func newNode(t *testing.T, hub *testhub.Hub, conns ...string) *node {
	t.Helper()
	n := &node{conns: conns}
	work, ticks := workers.New(func(any) {}), clock.New()
	n.cluster = cluster.Join(hub, cluster.Config{
		StoreTimeout: time.Second, Workers: work, Clock: ticks,
		Changed: func(store.Change) {}, Subscribed: func(cluster.Topic) {}, Resync: func(func() bool) {},
		Suspect: func(time.Time) {}, GiveUp: func() {}, Used: func(string) uint64 { return 0 },
		Failed: func(context.Context, string, string, error) {},
		Asked: func(q *cluster.Question) {
			if !n.silent {
				n.Answer(q)
			}
		},
	})
	n.Calls = nodecalls.New(nodecalls.Config[string, int]{
		Node:       n.cluster,
		Gateway:    gateway.New(n.cluster.Store(), gateway.Config{StoreTimeout: time.Second, TouchInterval: time.Minute}),
		Background: work.Pool(4),
		Status:     func() int { return len(n.conns) },
		Notify: func(to *registry.Selection, m *outbox.Message, _ bool) int {
			n.note("notify " + to.SessionID + to.Name + " " + string(m.Data))
			return len(n.conns)
		},
		Conns: func(f registry.Filter) []string { n.note("conns " + f.UserID); return n.conns },
		Counts: func(activity.Question) []activity.Item {
			return []activity.Item{{SessionID: "a", N: len(n.conns)}}
		},
		CloseConn: func(id string, _ int, reason string) int {
			n.note("close " + id + " " + reason)
			if slices.Contains(n.conns, id) {
				return 1
			}
			return 0
		},
		CloseConns: func(f *registry.Filter, _ int, reason string) int {
			n.note("closes " + f.Name + " " + reason)
			return len(n.conns)
		},
	})
	n.cluster.Start()
	t.Cleanup(func() {
		work.Stop()
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, n.cluster.Leave(ctx))
		require.NoError(t, work.Wait(ctx))
		ticks.Close()
	})
	return n
}

func three(t *testing.T) (asking, first, second *node) {
	hub := testhub.New()
	return newNode(t, hub), newNode(t, hub, "1", "2"), newNode(t, hub, "3")
}

func TestTheOtherNodesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, first, second := three(t)
		all := &registry.Selection{All: true}
		n, err := asking.Notify(t.Context(), all, &outbox.Message{Data: []byte("hi")})
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Equal(t, []string{"notify  hi"}, first.heard())
		require.Equal(t, []string{"notify  hi"}, second.heard())
		require.Empty(t, asking.heard(), "it doesn't ask itself")

		var ids []string
		require.NoError(t, asking.Conns(t.Context(), &registry.Filter{}, func(_ string, id string) bool {
			ids = append(ids, id)
			return true
		}))
		require.ElementsMatch(t, []string{"1", "2", "3"}, ids)

		conns := 0
		require.NoError(t, asking.Counts(t.Context(), activity.Question{}, func(i activity.Item) { conns += i.N }))
		require.Equal(t, 3, conns)

		states := make(map[string]int)
		require.NoError(t, asking.Status(t.Context(), func(node string, n int) bool {
			states[node] = n
			return true
		}))
		require.ElementsMatch(t, []int{2, 1}, slices.Collect(maps.Values(states)))
		require.NotContains(t, states, "", "each has a name")

		first.heard()
		second.heard()
		n, err = asking.CloseConn(t.Context(), "3", 1000, "over")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []string{"close 3 over"}, second.heard())

		n, err = asking.CloseConns(t.Context(), &registry.Filter{Name: "room"}, 1000, "over")
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Contains(t, first.heard(), "closes room over")
	})
}

func TestANodeThatDoesNotAnswerIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, _, second := three(t)
		second.silent = true
		n, err := asking.Notify(t.Context(), &registry.Selection{All: true}, &outbox.Message{})
		require.ErrorIs(t, err, cluster.ErrSilent)
		require.Equal(t, 2, n, "of the other one")
	})
}

func TestOnlyNodesThatMayHaveTheConnectionsAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, first, second := three(t)
		for of, n := range map[string]*node{"a": first, "b": second} {
			n.cluster.Retain(cluster.Topic{SessionID: of})
			n.cluster.Retain(cluster.Topic{ClientID: "client " + of})
			require.NoError(t, n.cluster.Subscribe(t.Context(), of, "client "+of))
		}
		for _, of := range []registry.Selection{{SessionID: "a"}, {ClientID: "client a"}} {
			_, err := asking.Notify(t.Context(), &of, &outbox.Message{})
			require.NoError(t, err)
			require.Len(t, first.heard(), 1)
			require.Empty(t, second.heard())
		}
		at := gateway.Now()
		_, err := asking.cluster.Store().Set(t.Context(), store.Record{
			ID: "b", ClientID: "client b", UserID: "ann", TokenGeneration: 1, Data: []byte("{}"), Created: at, Seen: at,
		})
		require.NoError(t, err)
		_, err = asking.Notify(t.Context(), &registry.Selection{UserID: "ann"}, &outbox.Message{})
		require.NoError(t, err)
		require.Empty(t, first.heard())
		require.Len(t, second.heard(), 1)
		for _, of := range []registry.Selection{{Name: "room"}, {Conns: []string{"1"}}} {
			_, err := asking.Notify(t.Context(), &of, &outbox.Message{})
			require.NoError(t, err)
			require.Len(t, first.heard(), 1)
			require.Len(t, second.heard(), 1)
		}
	})
}

func TestACloseCodeOfAnotherVersionClosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, first, _ := three(t)
		n, err := asking.CloseConns(t.Context(), &registry.Filter{}, 1005, "")
		require.NoError(t, err)
		require.Zero(t, n)
		require.Empty(t, first.heard())
	})
}

func TestAnInvalidSelectionGetsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking, first, _ := three(t)
		n, err := asking.Notify(t.Context(), &registry.Selection{All: true, Name: "room"}, &outbox.Message{})
		require.NoError(t, err)
		require.Zero(t, n)
		require.Empty(t, first.heard())
	})
}

func TestAskingAStoreThatIsAwayFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := testhub.New()
		asking := newNode(t, hub)
		newNode(t, hub, "1")
		hub.Node(0).SetNetwork(false, true)
		_, err := asking.Notify(t.Context(), &registry.Selection{All: true}, &outbox.Message{})
		require.ErrorIs(t, err, gateway.ErrUnavailable)
		hub.Node(0).SetNetwork(false, false)
	})
}

func TestWithoutNodesNoneIsAsked(t *testing.T) {
	c := nodecalls.New(nodecalls.Config[string, int]{})
	n, err := c.Notify(t.Context(), &registry.Selection{UserID: "ann"}, &outbox.Message{})
	require.NoError(t, err)
	require.Zero(t, n)
}

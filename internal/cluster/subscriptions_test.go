package cluster_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
)

var (
	session = cluster.Topic{SessionID: "s"}
	client  = cluster.Topic{ClientID: "c"}
)

// calls returns how often the store was asked to hold and to release.
func calls(m *member) (holds, releases int) {
	synctest.Wait()
	m.store.change(func(n *busNode) { holds, releases = n.holds, n.releases })
	return holds, releases
}

func TestASubscriptionLastsAsLongAsItIsRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		require.NoError(t, m.Subscribe(t.Context(), "s", ""), "a topic that isn't retained")
		require.Empty(t, held(m))
		for range 3 {
			m.Retain(session)
			m.Retain(client)
			require.NoError(t, m.Subscribe(t.Context(), "s", "c"))
		}
		require.ElementsMatch(t, []cluster.Topic{session, client}, held(m))
		m.Release(session)
		m.Release(session)
		require.ElementsMatch(t, []cluster.Topic{session, client}, held(m))
		m.Release(session)
		require.Equal(t, []cluster.Topic{client}, held(m))
		m.Release(session) // once too often
		m.Retain(session)
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))
		require.ElementsMatch(t, []cluster.Topic{session, client}, held(m))
		holds, releases := calls(m)
		require.Equal(t, 2, holds, "both topics in one call, and one anew")
		require.Equal(t, 1, releases)
	})
}

func TestTheStoreIsAskedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.store.change(func(n *busNode) {
			n.onHold = func(context.Context) error { time.Sleep(time.Second); return nil }
		})
		var all sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 10 {
			m.Retain(session)
			all.Go(func() { require.NoError(t, m.Subscribe(ctx, "s", "")) })
		}
		all.Wait()
		holds, _ := calls(m)
		require.Equal(t, 1, holds)

		m.Retain(client)
		go func() { time.Sleep(time.Millisecond); cancel() }()
		require.NoError(t, m.Subscribe(ctx, "", "c"), "other callers may wait for the one that asks")
	})
}

// A session is retained again while it is being released, and the other way round.
func TestARequestUnderWayIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		slow := func(context.Context) error { time.Sleep(time.Second); return nil }
		m.store.change(func(n *busNode) { n.onHold, n.onRelease = slow, slow })
		m.Retain(session)
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))
		m.Release(session)
		synctest.Wait()
		m.Retain(session)
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))
		require.Equal(t, []cluster.Topic{session}, held(m))

		m.Retain(client)
		go func() { require.NoError(t, m.Subscribe(t.Context(), "", "c")) }()
		synctest.Wait()
		m.Release(client)
		time.Sleep(3 * time.Second)
		require.Equal(t, []cluster.Topic{session}, held(m))
	})
}

func TestAStoreThatHangsRefusesAllInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.store.change(func(n *busNode) { n.onHold = hang })
		start := time.Now()
		var all sync.WaitGroup
		for range 20 {
			m.Retain(session)
			all.Go(func() { require.ErrorIs(t, m.Subscribe(t.Context(), "s", ""), context.DeadlineExceeded) })
		}
		all.Wait()
		require.LessOrEqual(t, time.Since(start), 2*storeTimeout)
		m.store.change(func(n *busNode) { n.onHold = nil })
		time.Sleep(2*storeTimeout + time.Second)
		require.Equal(t, []cluster.Topic{session}, held(m))
	})
}

// After a panic of the store the next caller asks for the topic again.
func TestAStoreThatPanicsKeepsNoTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.store.change(func(n *busNode) { n.onHold = func(context.Context) error { panic("oops") } })
		m.Retain(session)
		require.Panics(t, func() { _ = m.Subscribe(t.Context(), "s", "") })
		m.store.change(func(n *busNode) { n.onHold = nil })
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))

		m.store.change(func(n *busNode) { n.onRelease = func(context.Context) error { panic("oops") } })
		m.Release(session)
		synctest.Wait()
		m.Retain(session)
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))
	})
}

// A failed subscription is tried again every second while the store is healthy.
func TestAFailedSubscriptionIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.store.change(func(n *busNode) { n.onHold = func(context.Context) error { return errDown } })
		m.Retain(session)
		require.ErrorIs(t, m.Subscribe(t.Context(), "s", ""), errDown)
		m.Retain(client)
		m.SubscribeSoon(client)
		time.Sleep(1500 * time.Millisecond)
		holds, _ := calls(m)
		require.Equal(t, 4, holds, "each of the two again")
		m.store.change(func(n *busNode) { n.onHold, n.deaf = nil, 10*time.Second })
		time.Sleep(10 * time.Second)
		require.Empty(t, held(m), "the node isn't healthy")
		m.store.change(func(n *busNode) { n.deaf = 0 })
		time.Sleep(time.Second)
		require.ElementsMatch(t, []cluster.Topic{session, client}, held(m))
		subscribed := read(m, func(m *member) []cluster.Topic { return m.subscribed })
		require.ElementsMatch(t, []cluster.Topic{session, client}, subscribed, "changes before it may have been missed")
		time.Sleep(time.Minute)
		holds, _ = calls(m)
		require.Equal(t, 6, holds)
	})
}

func TestAFailedReleaseIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.Retain(session)
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))
		m.store.change(func(n *busNode) { n.onRelease = func(context.Context) error { return errDown } })
		m.Release(session)
		require.Equal(t, []string{"unsubscribe from a session"}, failures(m))
		m.Retain(session)
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))
	})
}

// A node that is about to leave neither subscribes nor unsubscribes in the background.
func TestASubscriptionEndsWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.Retain(session)
		require.NoError(t, m.Subscribe(t.Context(), "s", ""))
		m.work.Stop()
		m.Release(session)
		m.Seen("c")
		holds, releases := calls(m)
		require.Equal(t, 1, holds)
		require.Zero(t, releases)
	})
}

const mostSeen = 10_000

// A node subscribes to the clients that it has seen last.
func TestTheClientsSeenLastAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		uses := uint64(0)
		m.used = func(clientID string) uint64 {
			if clientID != "busy" {
				return 0
			}
			uses++
			return uses
		}
		m.Seen("busy")
		m.Seen("idle")
		for i := range mostSeen + 50 {
			m.Seen(strconv.Itoa(i))
			m.Seen(strconv.Itoa(i)) // it is there already
		}
		all := held(m)
		require.Len(t, all, mostSeen)
		require.Contains(t, all, cluster.Topic{ClientID: "busy"}, "it has been used since")
		require.NotContains(t, all, cluster.Topic{ClientID: "idle"})
		require.Contains(t, all, cluster.Topic{ClientID: strconv.Itoa(mostSeen + 49)})
	})
}

// A client that has a connection stays when it is no more one of those seen last.
func TestAClientThatLosesItsPlaceMayBeRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.Seen("c")
		m.Retain(client)
		for i := range mostSeen {
			m.Seen(strconv.Itoa(i))
		}
		require.Contains(t, held(m), client)
		m.Release(client)
		require.NotContains(t, held(m), client)
	})
}

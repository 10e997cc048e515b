package cluster_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

func TestANilNodeHasNoOthers(t *testing.T) {
	var n *cluster.Node
	n.Start()
	n.Retain(session)
	require.NoError(t, n.Subscribe(t.Context(), "s", "c"))
	n.SubscribeSoon(session)
	n.Release(session)
	n.Seen("c")
	n.Announce("c", "s")
	require.False(t, n.Frozen())
	require.True(t, n.Healthy())
	require.NoError(t, cluster.Ask(t.Context(), n, everyone, "kind", nil, nil, func(string, int) bool { return true }))
	require.NoError(t, n.Leave(t.Context()))
}

func TestNothingIsReportedBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := &bus{}, clock.New()
		defer c.Close()
		reported := 0
		n := cluster.Join(b, cluster.Config{
			Workers: workers.New(nil), Clock: c, Changed: func(store.Change) { reported++ },
		})
		b.nodes[0].changes <- store.Change{Kind: store.ChangeStored, ID: "s"}
		time.Sleep(time.Minute)
		require.Zero(t, reported)
		require.Equal(t, store.Store(b.nodes[0]), n.Store())
		n.Start()
		synctest.Wait()
		require.Equal(t, 1, reported)
		require.NoError(t, n.Leave(t.Context()))
	})
}

// Announcements go to the nodes that know the client. None is lost when many come at once.
func TestAnnouncementsReachThoseThatHaveSeenTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := joinThree(t)
		three[1].Seen("c")
		three[2].Seen("other")
		synctest.Wait()
		three[0].store.change(func(n *busNode) {
			n.onAnnounce = func(context.Context) error { time.Sleep(time.Second); return nil }
		})
		const many = 1000
		start := time.Now()
		for i := range many {
			three[0].Announce("c", strconv.Itoa(i))
		}
		require.Zero(t, time.Since(start), "no caller waits for the store")
		time.Sleep(time.Minute)
		require.Len(t, read(three[1], func(m *member) []store.Change { return m.changed }), many)
		require.Empty(t, read(three[2], func(m *member) []store.Change { return m.changed }))
		require.Empty(t, failures(three[0]))
	})
}

func TestAnAnnouncementThatFailsIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.store.change(func(n *busNode) { n.onAnnounce = hang })
		m.Announce("c", "s")
		time.Sleep(storeTimeout)
		require.Equal(t, []string{"tell other nodes of a login"}, failures(m))
	})
}

// Without the store Leave fails only if its context has ended.
func TestLeaveWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.store.leaveErr = errDown
		require.NoError(t, m.Leave(t.Context()))
		require.Equal(t, []string{"leave the other nodes"}, failures(m))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, m.Leave(ctx), errDown)
		m.store.leaveErr = nil
	})
}

// contact sets how long the store, and a part of it, has been silent.
func (n *busNode) contact(silent, partSilent time.Duration) {
	n.change(func(n *busNode) { n.silent, n.partSilent = silent, partSilent })
}

func TestFrozenAndHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		time.Sleep(time.Hour)
		for _, c := range []struct {
			silent, part, deaf time.Duration
			frozen, healthy    bool
		}{
			{0, 0, 0, false, true},
			{2999 * time.Millisecond, 0, 0, false, true},
			{3 * time.Second, 0, 0, false, false},
			{4999 * time.Millisecond, 0, 0, false, false},
			{5 * time.Second, 0, 0, true, false},
			{0, time.Hour, 0, false, false},
			{0, 0, 3 * time.Second, false, false},
		} {
			m.store.contact(c.silent, c.part)
			m.store.change(func(n *busNode) { n.deaf = c.deaf })
			require.Equal(t, c.frozen, m.Frozen(), "%+v", c)
			require.Equal(t, c.healthy, m.Healthy(), "%+v", c)
		}
	})
}

// A node that has never reached the store has as much time as one that has lost contact.
func TestANodeThatHasStillToJoinIsNotFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.store.contact(1000*time.Hour, 0)
		require.False(t, m.Frozen())
		require.False(t, m.Healthy())
		time.Sleep(5 * time.Second)
		require.True(t, m.Frozen())
	})
}

// goSilent lets the time pass while a part of the store, or all of it, is silent.
func goSilent(m *member, whole bool, d time.Duration) {
	for start := time.Now(); time.Since(start) < d; time.Sleep(100 * time.Millisecond) {
		silent := time.Since(start)
		if whole {
			m.store.contact(silent, silent)
		} else {
			m.store.contact(0, silent)
		}
	}
}

// When a part of the store is silent, connections are suspected and everything is checked: once,
// and again while that lasts.
func TestAPartOfTheStoreIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		counts := func(suspects, resyncs, giveUps int) {
			t.Helper()
			require.Len(t, read(m, func(m *member) []time.Time { return m.suspects }), suspects)
			require.Equal(t, resyncs, read(m, func(m *member) int { return m.resyncs }))
			require.Equal(t, giveUps, read(m, func(m *member) int { return m.giveUps }))
		}
		goSilent(m, false, 4500*time.Millisecond)
		counts(0, 0, 0)
		m.store.contact(0, 0)
		time.Sleep(time.Minute)
		counts(0, 0, 0)

		began := time.Now()
		goSilent(m, false, 25*time.Second)
		counts(1, 1, 0)
		require.WithinDuration(t, began, m.suspects[0], 100*time.Millisecond)
		m.store.contact(0, 0)
		time.Sleep(2 * time.Second)
		counts(1, 1, 0)
		goSilent(m, false, 8*time.Second)
		counts(2, 2, 0)
		m.store.contact(0, 0)
		time.Sleep(time.Minute)
		counts(2, 2, 0)

		goSilent(m, false, 80*time.Second)
		counts(5, 5, 0)
		require.WithinDuration(t, time.Now(), m.suspects[4], 30*time.Second, "another part may have joined it")
	})
}

// When all of the store is silent, connections are given up after 30 s.
func TestAllOfTheStoreIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		goSilent(m, true, 29*time.Second)
		require.Zero(t, read(m, func(m *member) int { return m.giveUps }))
		m.store.contact(0, 0)
		time.Sleep(time.Minute)
		goSilent(m, true, 31500*time.Millisecond)
		require.NotZero(t, read(m, func(m *member) int { return m.giveUps }))
		require.Empty(t, read(m, func(m *member) []time.Time { return m.suspects }))
	})
}

// A process that was suspended for a minute hears from the store again soon.
func TestAProcessThatStoodStillGivesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		time.Sleep(time.Hour + 500*time.Millisecond)
		m.store.contact(time.Minute, time.Minute)
		time.Sleep(900 * time.Millisecond) // one check
		m.store.contact(0, 0)
		time.Sleep(time.Minute)
		require.Zero(t, read(m, func(m *member) int { return m.giveUps }))
	})
}

// A node that has reconnected checks everything once, and once more for changes that it missed
// meanwhile.
func TestMissedChangesAreMadeUpForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		resyncs := func() int { return read(m, func(m *member) int { return m.resyncs }) }
		goOn := make(chan struct{})
		var superseded []bool
		m.onResync = func(again func() bool) {
			superseded = append(superseded, again())
			<-goOn
			superseded = append(superseded, again())
		}
		missed := func() { m.store.changes <- store.Change{Kind: store.ChangeMissed} }
		missed()
		require.Equal(t, 1, resyncs())
		for range 5 {
			missed()
		}
		require.Equal(t, 1, resyncs(), "one at a time")
		goOn <- struct{}{}
		require.Equal(t, 2, resyncs())
		goOn <- struct{}{}
		require.Equal(t, 2, resyncs())
		missed()
		require.Equal(t, 3, resyncs())
		m.work.Stop()
		goOn <- struct{}{}
		synctest.Wait()
		require.Equal(t, []bool{false, true, false, false, false, true}, superseded)
	})
}

func TestAResyncThatPanicsIsFollowedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, &bus{})
		m.onResync = func(func() bool) { panic(errors.New("oops")) }
		for i := range 3 {
			m.store.changes <- store.Change{Kind: store.ChangeMissed}
			require.Equal(t, i+1, read(m, func(m *member) int { return m.resyncs }))
		}
	})
}

package soak_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// lookAround checks, when no actor acts any more, that each node knows all connections, and that
// each session has the expected count.
func (k *killing) lookAround(actors []*killActor) {
	k.t.Helper()
	open := 0
	for _, a := range actors {
		if a.session == nil {
			continue
		}
		stored, err := k.direct.GetByID(k.t.Context(), a.session.id)
		if errors.Is(err, bridge.ErrSessionMissing) {
			a.surprised(a.session)
			continue
		}
		require.NoError(k.t, err)
		k.compare(a.session, farmViewOf(stored).N)
	}
	k.judging.Wait()
	for _, a := range actors {
		if a.session != nil {
			open += len(a.opened(a.session))
		}
	}
	for _, what := range []string{"conns", "activity"} {
		for _, n := range k.living() {
			require.Eventually(k.t, func() bool {
				v, _, err := k.ask(n.farmNode, "", map[string][]string{"do": {what}})
				return err == nil && v.Word == "ok" && v.N == open
			}, await.Limit, 20*time.Millisecond, "%s of %d sockets", what, open)
		}
	}
	k.t.Logf("%d sockets remained open, of which every node knew", open)
}

// endAll ends the remaining sessions, some of them by expiry, and looks for any session that is
// left.
func (k *killing) endAll(actors []*killActor) {
	k.t.Helper()
	for i, a := range actors {
		if a.session != nil && i%2 == 0 {
			a.expire(a.session)
		}
	}
	k.judging.Wait()
	_, err := k.direct.DestroyAll(k.t.Context())
	at := k.now()
	require.NoError(k.t, err)
	for _, a := range actors {
		if a.session != nil {
			a.over(a.session, at, nil)
		}
	}
	k.judging.Wait()
	require.Eventually(k.t, func() bool {
		_, err := k.direct.Cleanup(k.t.Context())
		require.NoError(k.t, err)
		for _, s := range k.ever {
			if _, err := k.direct.GetByID(k.t.Context(), s.id); !errors.Is(err, bridge.ErrSessionMissing) {
				k.t.Errorf("session %s is back: %v", s.id, err)
			}
		}
		return !k.server.Sessions()
	}, await.Limit, 100*time.Millisecond, "sessions, or what refers to them, remain")
	for _, s := range k.ever[max(0, len(k.ever)-100):] {
		n := k.pick(k.random)
		v, _, err := k.ask(n.farmNode, s.cookie.header(), map[string][]string{"do": {"read"}})
		require.NoError(k.t, err)
		require.Equal(k.t, "missing", v.Word)
	}
	k.leaveAll()
	k.listening.Wait()
}

// stopAll ends the nodes that are alive in an orderly way. They leave nothing on the server. A lock on a
// user whose owner was killed ends by itself within 10 seconds, for which only a soak test waits.
func (k *killing) stopAll(soak bool) {
	k.t.Helper()
	require.Eventually(k.t, func() bool {
		return !slices.ContainsFunc(k.deaths, func(d *death) bool { return k.server.Holds(d.name) })
	}, await.Limit, 100*time.Millisecond, "what a dead node held remains")
	nodes := k.nodes
	require.Len(k.t, nodes, farmNodes)
	k.stop()
	for _, n := range nodes {
		require.NotNil(k.t, n.cmd.ProcessState, "it is gone")
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), await.Limit)
	defer cancel()
	require.NoError(k.t, k.direct.Shutdown(ctx))
	if soak {
		require.Eventually(k.t, func() bool { return k.server.Locks() == 0 }, await.Limit, 100*time.Millisecond)
	}
	k.server.RequireEmpty(k.st)
}

// report logs the operations and how long they took, and checks that all kinds were done.
func (k *killing) report(soak bool) {
	k.t.Helper()
	var known, conns, activity []time.Duration
	for _, d := range k.deaths {
		known = append(known, d.gone.Sub(d.at))
		if !d.overlapped && !d.conns.IsZero() {
			conns = append(conns, d.conns.Sub(d.at))
		}
		if !d.overlapped && !d.activity.IsZero() {
			activity = append(activity, d.activity.Sub(d.at))
		}
		if !d.shortened {
			require.Less(k.t, d.known, 15500*time.Millisecond, "a node that has died is known for 15 s")
		}
	}
	rounded := func(all []time.Duration) string { return strings.Replace(killQuantiles(all), "sockets", "times", 1) }
	k.t.Logf("%d nodes killed; the dead were known to the others: %s; after a death alone Conns was complete again: %s, Activity: %s",
		len(k.deaths), rounded(known), rounded(conns), rounded(activity))
	k.t.Log(&k.count)
	for what, delays := range map[string]*killDelays{"destroy": &k.ends, "login or new session": &k.rebinds, "deadline": &k.expiries} {
		k.t.Logf("from a %s to the end of a socket: %v", what, delays)
		most := killPromise
		if delays == &k.rebinds {
			most += time.Second // it is closed when it may have waited for so long
		}
		require.Less(k.t, delays.worst(), most, "%s", what)
		require.True(k.t, delays.any(), "%s", what)
	}
	least := 2
	if soak {
		least = 6
	}
	require.GreaterOrEqual(k.t, len(k.deaths), least)
}

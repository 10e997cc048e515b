package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestClusterSpreadsSessions over all masters, with 16 shards by default.
func TestClusterSpreadsSessions(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	st := open(t, c.Servers[1].URL(), nil) // any node of the cluster
	for range 300 {
		create(t, st)
	}
	shards := map[string]bool{}
	for i, s := range c.Servers {
		sessions := 0
		for _, key := range keys(t, s) {
			if prefix, _, ok := strings.Cut(key, ":s"); ok {
				shards[prefix] = true
				sessions++
			}
		}
		require.Greater(t, sessions, 30, "server %d", i)
	}
	require.Len(t, shards, 16)
	require.Len(t, collect(t, st.ByUser(t.Context(), "ada")), 300)
}

// TestClusterThatMissesAMaster: an incomplete answer is an error. Service resumes without
// intervention.
func TestClusterThatMissesAMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	st := open(t, c.URL(), &redisstore.Options{Timeout: 2 * time.Second})
	rec := create(t, st)
	c.Servers[1].Kill()
	_, err := firstError(st, t.Context())
	require.Error(t, err)
	require.NotErrorIs(t, err, store.ErrNotFound)
	require.Error(t, st.Ping(t.Context()))
	c.Servers[1].Restart()
	require.Eventually(t, func() bool {
		return st.Ping(t.Context()) == nil
	}, patience, tick)
	_, err = st.Get(t.Context(), rec.ID)
	if err != nil {
		require.ErrorIs(t, err, store.ErrNotFound, "it was on the server that was killed, which has no persistence")
	}
}

// firstError lists the sessions of ada until an error.
func firstError(st *redisstore.Store, ctx context.Context) (n int, err error) {
	for _, err := range st.ByUser(ctx, "ada") {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// TestSlotsAreMovedWhileInUse: sessions are created, changed and ended while their slots move
// between servers. An operation may fail then, but no session is lost or found after its end, and
// the indexes are complete.
func TestSlotsAreMovedWhileInUse(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2)
	st := open(t, c.URL(), &redisstore.Options{Shards: 2})
	const writers, others = 8, 1000
	fill(t, st, others)                       // so that moving takes a while
	alive := make([]map[string]bool, writers) // by writer: the sessions that exist, false if that is unknown
	done := make(chan struct{})
	moved := make(chan error, 1)
	go func() {
		defer close(done)
		moved <- moveSlots(c, 3)
	}()
	var succeeded, failed atomic.Int64
	inParallel(writers, func(i int) {
		alive[i] = map[string]bool{}
		for {
			select {
			case <-done:
				return
			default:
			}
			if churn(t.Context(), st, fmt.Sprint("user", i), alive[i]) != nil {
				failed.Add(1)
			} else {
				succeeded.Add(1)
			}
		}
	})
	require.NoError(t, <-moved)
	t.Logf("%d rounds succeeded, %d failed", succeeded.Load(), failed.Load())
	require.Positive(t, succeeded.Load())

	total := others
	for i, sessions := range alive {
		found := map[string]int{}
		for _, id := range collect(t, st.ByUser(t.Context(), fmt.Sprint("user", i))) {
			found[id]++
		}
		for id, sure := range sessions {
			_, err := st.Get(t.Context(), id)
			if sure {
				require.NoError(t, err)
			} else if errors.Is(err, store.ErrNotFound) {
				require.Zero(t, found[id], "a session that has ended is not found")
				continue
			}
			require.NoError(t, err)
			require.Equal(t, 1, found[id], "an existing session is found once")
			total++
		}
		require.Len(t, found, countAlive(t, st, sessions))
	}
	require.Len(t, collect(t, st.List(t.Context())), total)
	require.Len(t, collect(t, st.ActiveSince(t.Context(), time.Time{})), total)
	require.NoError(t, st.Optimize(t.Context()))
	swept, err := st.Sweep(t.Context(), time.Now().Add(100*day), total+1)
	require.NoError(t, err)
	require.Len(t, swept, total)
}

func countAlive(t *testing.T, st *redisstore.Store, sessions map[string]bool) (n int) {
	t.Helper()
	for id := range sessions {
		if _, err := st.Get(t.Context(), id); err == nil {
			n++
		}
	}
	return n
}

// churn creates a session, updates and touches it, and destroys about every third.
func churn(ctx context.Context, st *redisstore.Store, user string, alive map[string]bool) error {
	rec := newRecord(func(rec *store.Record) { rec.UserID = user })
	alive[rec.ID] = false // until the reply
	revision, err := st.Set(ctx, rec)
	if err != nil {
		return err
	}
	alive[rec.ID] = true
	rec.Revision, rec.Expires = revision, rec.Expires.Add(-time.Minute)
	if _, err := st.Set(ctx, rec); err != nil {
		return err
	}
	if err := st.Touch(ctx, rec.ID, rec.Seen.Add(2*time.Minute)); err != nil {
		return err
	}
	if rec.ID[0] < '5' {
		alive[rec.ID] = false
		if _, err := st.Destroy(ctx, rec.ID); err != nil {
			return err
		}
		delete(alive, rec.ID)
	}
	return nil
}

// moveSlots moves the slots of both shards between the servers, that many times.
func moveSlots(c *redistest.Cluster, times int) error {
	for range times {
		for _, shard := range []string{"{0}", "{1}"} {
			if err := c.MoveSlot(slotOf(c, shard)); err != nil {
				return err
			}
		}
	}
	return nil
}

func slotOf(c *redistest.Cluster, tag string) string {
	answer := c.Servers[0].Do("CLUSTER", "KEYSLOT", tag)
	n, _ := answer.AsInt64()
	return strconv.FormatInt(n, 10)
}

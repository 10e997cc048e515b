package redisstore_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
	"github.com/sessionbridge/sessionbridge/store"
)

// commandsOf returns the commands that Redis executes during do, with their counts, including those
// of the nodes' heartbeats.
func commandsOf(t testing.TB, s *redistest.Server, do func()) map[string]int {
	t.Helper()
	s.Do("CONFIG", "RESETSTAT")
	do()
	calls := map[string]int{}
	for name, stat := range s.Info("commandstats") {
		if !strings.HasPrefix(name, "cmdstat_") {
			continue
		}
		count, _, _ := strings.Cut(strings.TrimPrefix(stat, "calls="), ",")
		n, err := strconv.Atoi(count)
		require.NoError(t, err)
		switch name = strings.TrimPrefix(name, "cmdstat_"); name {
		case "config|resetstat", "hello", "client|setinfo", "client|setname", "info", "ping", "evalsha", "eval":
		default:
			calls[name] = n
		}
	}
	return calls
}

func total(calls map[string]int) (n int) {
	for _, count := range calls {
		n += count
	}
	return n
}

// TestCommandsWithoutHolders: the lookup of holders costs a Set and a Destroy one command, and a
// Touch none.
func TestCommandsWithoutHolders(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	st := open(t, s.URL(), nil)
	rec := newRecord()
	set := func() {
		revision, err := st.Set(t.Context(), rec)
		require.NoError(t, err)
		rec.Revision = revision
	}
	set()
	loadAll(t, st)
	other := newRecord(func(rec *store.Record) { rec.UserID = "bob" })
	asks := map[string]int{}
	for _, op := range []struct {
		name string
		most int
		do   func()
	}{
		{"set", 5, set},
		{"set with another token", 5, func() { rec.TokenHash[0]++; set() }},
		{"set of a guest", 5, func() { rec.Data = nil; set() }},
		{"touch", 5, func() { require.NoError(t, st.Touch(t.Context(), rec.ID, rec.Seen.Add(time.Millisecond))) }},
		{"create", 20, func() {
			_, err := st.Set(t.Context(), other)
			require.NoError(t, err)
		}},
		{"destroy", 15, func() {
			_, err := st.Destroy(t.Context(), other.ID)
			require.NoError(t, err)
		}},
	} {
		calls := commandsOf(t, s, op.do)
		t.Logf("%s: %d %v", op.name, total(calls), calls)
		require.LessOrEqual(t, total(calls), op.most, op.name)
		maps.Copy(asks, calls)
	}
	for _, command := range []string{"xadd", "spublish", "exists", "sadd"} {
		require.Zero(t, asks[command], "no node is notified")
	}
}

// TestMemoryPerHold: a held session, or client, takes at most 300 bytes of memory in Redis for each
// node.
func TestMemoryPerHold(t *testing.T) {
	t.Parallel()
	const n = 10_000
	server := redistest.Start(t)
	s := &site{T: t, servers: []*redistest.Server{server}, url: server.URL(), shards: 1}
	a, b := s.node(), s.node()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	hold := func(what string, do func(id string) error) {
		before := usedMemory(t, server)
		inParallel(64, func(worker int) {
			for i := worker; i < n; i += 64 {
				if err := do(ids[i]); err != nil {
					t.Error(err)
				}
			}
		})
		each := (usedMemory(t, server) - before) / n
		t.Logf("%d B per %s", each, what)
		require.LessOrEqual(t, each, 300)
	}
	hold("session", func(id string) error { return a.Hold(t.Context(), id, "") })
	hold("session that is held already", func(id string) error { return b.Hold(t.Context(), id, "") })
	hold("client", func(id string) error { return a.Hold(t.Context(), "", id) })
}

// TestCostOfANode: the commands of a node each second are bounded, and concurrent holds are
// batched.
func TestCostOfANode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := newLine(t, server.Addr())
	st := open(t, l.url(), &redisstore.Options{Shards: 2})
	a := watch(t, st)
	a.hold("s", "c")
	l.sent()
	const n = 1000
	inParallel(n, func(int) {
		if err := a.Hold(t.Context(), uuid.NewString(), ""); err != nil {
			t.Error(err)
		}
	})
	require.Less(t, len(l.sent()), n/4)
	began := a.Contact().Answered
	calls := commandsOf(t, server, func() {
		require.Eventually(t, func() bool { return a.Contact().Answered.Sub(began) > 3*time.Second }, patience, tick)
	})
	seconds := int(a.Contact().Answered.Sub(began)/time.Second) + 2 // with the fractions before and after
	t.Logf("in at most %d seconds, of 2 shards: %v", seconds, calls)
	require.LessOrEqual(t, total(calls), seconds*2*12)
}

// BenchmarkDestroyHeld destroys sessions that another node holds, which is notified.
func BenchmarkDestroyHeld(b *testing.B) {
	_, st := openForBenchmark(b)
	node := st.Watch(func(store.Change) {})
	recs := fill(b, st, b.N)
	inParallel(64, func(worker int) {
		for i := worker; i < b.N; i += 64 {
			if err := node.Hold(b.Context(), recs[i].ID, ""); err != nil {
				b.Error(err)
			}
		}
	})
	each(b, b.N, func(i int) error {
		_, err := st.Destroy(b.Context(), recs[i].ID)
		return err
	})
}

// BenchmarkHold holds sessions.
func BenchmarkHold(b *testing.B) {
	_, st := openForBenchmark(b)
	node := st.Watch(func(store.Change) {})
	recs := make([]string, b.N)
	for i := range recs {
		recs[i] = sample(i, time.Now()).ID
	}
	each(b, b.N, func(i int) error { return node.Hold(b.Context(), recs[i], "") })
}

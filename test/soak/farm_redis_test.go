package soak_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// farmDurable is the configuration with which Redis keeps acknowledged writes.
var farmDurable = []string{"appendonly yes", "appendfsync always"}

// farmRedis is a Redis.
type farmRedis struct {
	*redistest.Server
	t *testing.T
}

func onRedis(t *testing.T, config ...string) farmServer {
	t.Helper()
	return farmRedis{redistest.Start(t, config...), t}
}

func (r farmRedis) Proxy() farmProxy {
	r.t.Helper()
	return redistest.StartProxy(r.t, r.Server)
}

func (r farmRedis) EndLease(node string) {
	r.t.Helper()
	r.Do("ZADD", "sb:{0}:n", "XX", "1", node)
	r.Do("PEXPIRE", "sb:{0}:i"+node, "1")
}

func (r farmRedis) Holds(node string) bool {
	r.t.Helper()
	return slices.Contains(r.keys(), "sb:{0}:o"+node)
}

func (r farmRedis) Sessions() bool {
	r.t.Helper()
	left := r.leftover()
	return left["s"]+left["page"] > 0
}

func (r farmRedis) Locks() int {
	r.t.Helper()
	return r.leftover()["l"]
}

// RequireEmpty: empty directories of indexes end by themselves in a day or two, and with Optimize; locks
// after 10 s.
func (r farmRedis) RequireEmpty(st farmStore) {
	r.t.Helper()
	left := r.leftover()
	require.Equal(r.t, left["directory"]+left["l"], sum(left), "left, by the kind of the key: %v: %q", left, r.keys())
	for _, key := range r.keys() {
		answer := r.Do("PTTL", key)
		ttl, err := answer.AsInt64()
		require.NoError(r.t, err)
		require.Positive(r.t, ttl, "%q ends by itself", key)
		if strings.HasPrefix(key, "sb:{0}:l") {
			require.LessOrEqual(r.t, ttl, int64(10_000))
			r.Do("DEL", key)
		}
	}
	r.t.Logf("left besides sb:meta: %d empty directories of indexes, %d locks on users", left["directory"], left["l"])
	ctx, cancel := context.WithTimeout(r.t.Context(), await.Limit)
	defer cancel()
	require.NoError(r.t, st.Optimize(ctx))
	require.Empty(r.t, r.keys())
}

func sum(counts map[string]int) (n int) {
	for _, some := range counts {
		n += some
	}
	return n
}

// leftover counts the keys by their kind, without the one that always remains.
func (r farmRedis) leftover() map[string]int {
	r.t.Helper()
	left := map[string]int{}
	for _, key := range r.keys() {
		kind := "another"
		if rest, ok := strings.CutPrefix(key, "sb:{0}:"); ok && rest != "" {
			kind = rest[:1]
			if strings.Contains("eauc", kind) {
				kind = "page"
				if len(rest) == 1 {
					kind = "directory"
				}
			}
		}
		left[kind]++
	}
	return left
}

func (r farmRedis) keys() (keys []string) {
	r.t.Helper()
	answer := r.Do("KEYS", "*")
	all, err := answer.AsStrSlice()
	require.NoError(r.t, err)
	for _, key := range all {
		if key != "sb:meta" {
			keys = append(keys, key)
		}
	}
	return keys
}

package allowance_test

import (
	"errors"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

// take takes n of the name at once, and returns how many were allowed.
func take(l *allowance.Limit, name string, n int) (allowed int) {
	for range n {
		if l.Take(name) == nil {
			allowed++
		}
	}
	return allowed
}

func TestLimitIsForEachName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := allowance.NewLimit("Options.X", 2, 5)
		require.Equal(t, 5, take(l, "a", 20))
		require.Equal(t, 3, take(l, "b", 3))
		require.Equal(t, 0, take(l, "a", 1))
		time.Sleep(time.Second)
		require.Equal(t, 2, take(l, "a", 20), "what is refused doesn't count")
		require.Equal(t, 4, take(l, "b", 20))
		time.Sleep(time.Hour)
		require.Equal(t, 5, take(l, "a", 20))
		require.Equal(t, 2, l.Names())
		require.EqualValues(t, 15+1+18+16+15, l.Exceeded())
	})
}

func TestExceededNamesTheLimitItsValueAndWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := allowance.NewLimit("Options.X", 0.25, 3)
		require.Equal(t, 3, take(l, "a", 3))
		time.Sleep(time.Second)
		err := l.Take("a")
		require.ErrorIs(t, err, allowance.ErrExceeded)
		var exceeded *allowance.Exceeded
		require.ErrorAs(t, err, &exceeded)
		require.Equal(t, 3*time.Second, exceeded.RetryAfter)
		require.EqualError(t, err, "bridge: rate limit exceeded: Options.X allows 0.25 a second, 3 at once")
		time.Sleep(exceeded.RetryAfter - time.Millisecond)
		require.Error(t, l.Take("a"))
		time.Sleep(time.Millisecond)
		require.NoError(t, l.Take("a"))
	})
}

func TestNoLimit(t *testing.T) {
	for _, l := range []*allowance.Limit{nil, allowance.NewLimit("", 0, 3), allowance.NewLimit("", -1, 0), allowance.NewLimit("", 1, -1)} {
		require.Nil(t, l)
		require.Equal(t, 1000, take(l, "a", 1000))
		require.Zero(t, l.Names())
		require.Zero(t, l.Exceeded())
	}
	require.Equal(t, 2, take(allowance.NewLimit("", 1.5, 0), "a", 9), "a second's worth")
}

// An attacker with a million addresses can't make a Limit grow, and doesn't free an address that
// has just been refused, or not often.
func TestS13_LimitIsBoundedWithAMillionNames(t *testing.T) {
	l := allowance.NewLimit("Options.X", 0.001, 2)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most, freed := 0, 0
	for i := range 1_000_000 {
		if err := l.Take("2001:db8:0:" + strconv.Itoa(i) + "::/64"); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			most = max(most, l.Names())
			freed += take(l, "attacker", 1)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.LessOrEqual(t, most, allowance.MaxNames)
	require.LessOrEqual(t, l.Names(), allowance.MaxNames)
	require.Less(t, after.HeapAlloc-before.HeapAlloc, uint64(32<<20))
	t.Logf("%d names in %d KiB; %d of 1000 attempts of one address were allowed", l.Names(),
		(after.HeapAlloc-before.HeapAlloc)>>10, freed)
	require.Less(t, freed, 200, "it is forgotten rarely: by chance")
	runtime.KeepAlive(l)
}

// Names whose allowance is whole again make room for others.
func TestLimitForgetsTheIdleFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := allowance.NewLimit("Options.X", 1, 1)
		for i := range 200_000 {
			require.NoError(t, l.Take(strconv.Itoa(i)))
			if i%1000 == 0 {
				err := l.Take("busy")
				require.True(t, err == nil || errors.Is(err, allowance.ErrExceeded))
				time.Sleep(100 * time.Millisecond) // 10,000 names a second
			}
		}
		require.LessOrEqual(t, l.Names(), allowance.MaxNames)
	})
}

func BenchmarkLimit(b *testing.B) {
	l := allowance.NewLimit("Options.X", 1e9, 0)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Take("9f1c2f3e-8b57-4c6b-9d1e-0d2f4c9d1e0d"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

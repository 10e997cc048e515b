package allowance_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
)

var rate = allowance.Rate{InARow: 2, Every: time.Minute}

func TestAllowanceGrowsBack(t *testing.T) {
	var a allowance.Allowance
	now := time.Now()
	require.True(t, a.Whole(now, rate))
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true}, {0, true}, {0, false}, {30 * time.Second, false}, {30 * time.Second, true}, {0, false}, {59 * time.Second, false},
		{24 * time.Hour, true}, {0, true}, {0, false},
	} {
		now = now.Add(c.after)
		require.Equal(t, c.want, a.Take(now, rate))
		require.False(t, a.Whole(now, rate))
	}
	require.False(t, a.Whole(now.Add(119*time.Second), rate))
	require.True(t, a.Whole(now.Add(2*time.Minute), rate))
}

func TestTableRemembersThoseThatHaveUsedTheirs(t *testing.T) {
	whole := func(a *allowance.Allowance, now time.Time) bool { return a.Whole(now, rate) }
	table := allowance.NewTable(whole)
	now := time.Now()
	busy := table.Of("busy", now)
	for busy.Take(now, rate) {
	}
	most := 0
	for i := range 20_000 {
		now = now.Add(time.Millisecond) // 4096 names come in four seconds
		table.Of(strconv.Itoa(i), now)  // and do nothing
		most = max(most, table.Len())
	}
	require.LessOrEqual(t, most, 4096)
	require.Same(t, busy, table.Of("busy", now))
}

func TestTableIsBoundedHoweverManyUseTheirs(t *testing.T) {
	table := allowance.NewTable(func(a *allowance.Allowance, now time.Time) bool { return a.Whole(now, rate) })
	now, most := time.Now(), 0
	for i := range 20_000 {
		require.True(t, table.Of(strconv.Itoa(i), now).Take(now, rate))
		most = max(most, table.Len())
	}
	require.LessOrEqual(t, most, 4096)
}

package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRefresh: every item is held again more than twice in two days, in small parts.
func TestRefresh(t *testing.T) {
	const items, minutes = 100_000, 4 * 24 * 60
	names := make([]string, items)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	start := time.Now()
	due := refresh{last: start}
	last := map[string]int{} // the minute in which an item was last held
	for minute := 1; minute < minutes; minute++ {
		some := due.next(start.Add(time.Duration(minute)*refreshTick), func() []string { return names })
		require.LessOrEqual(t, len(some), 300)
		for _, name := range some {
			if minute-last[name] > 20*60 {
				require.FailNow(t, "not held for more than 20 hours", name)
			}
			last[name] = minute
		}
		due.done(len(some))
	}
	require.Len(t, last, items)
	for _, minute := range last {
		if minutes-minute > 20*60 {
			require.FailNow(t, "not held for more than 20 hours")
		}
	}
}

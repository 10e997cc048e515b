package filestore

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// midway has a large checkpoint be interrupted.
type midway struct {
	*writer
	chain *chain
}

// many calls fn for the numbers below n, from many goroutines, so that the changes share groups.
func (*midway) many(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for first := range 100 {
		wg.Go(func() {
			for i := first; i < n; i += 100 {
				fn(i)
			}
		})
	}
	wg.Wait()
}

func (w *midway) setMany(n int, revision uint64) {
	w.many(n, func(i int) { w.set(sessionKey{"", smallPrefix + strconv.Itoa(i)}, 1, revision, true) })
}

// moveEntries has the sweep find that the entries of some sessions in the index by expiry come too early.
func (w *midway) moveEntries(t *testing.T, n int) {
	t.Helper()
	key := func(i int) sessionKey { return sessionKey{"", "x-" + strconv.Itoa(i)} }
	w.many(n, func(i int) { w.set(key(i), 1, 0, true) })
	seen := w.m.now().Add(time.Hour)
	require.NoError(t, w.st.engine.flush(t.Context(), false))
	w.many(n, func(i int) {
		w.m.beginTouch(key(i), seen)
		w.goesOn("Touch", w.st.Touch(t.Context(), key(i).id, seen))
	})
	require.NoError(t, w.st.engine.flush(t.Context(), false))
	begun, now := w.m.beginSweep(""), w.m.now().Add(10*time.Minute)
	swept, err := w.st.Sweep(t.Context(), now, n)
	require.NoError(t, err)
	require.Empty(t, swept)
	w.m.swept(begun, swept, err, now)
}

// TestG8_CrashMidwayThroughACheckpoint: the power is cut after any of the transactions of a large checkpoint, which also brings in what
// only the sweep has changed, while sessions that it brings into the database have changed again.
func TestG8_CrashMidwayThroughACheckpoint(t *testing.T) {
	t.Parallel()          // on files of its own, which it waits for
	const sessions = 2100 // more than one transaction takes
	for cutAt := 1; cutAt <= 3; cutAt++ {
		t.Run(fmt.Sprintf("transaction %d", cutAt), func(t *testing.T) {
			opts := smallOptions()
			opts.LogSize, opts.CheckpointEvery = 8<<20, time.Hour // only when the test says so
			c := newChain(t, uint64(cutAt), opts, false)
			st, ok := c.open()
			require.True(t, ok)
			w := &midway{chain: c, writer: &writer{workload: &workload{ctx: t.Context(), m: c.m, disk: c.disk, st: st}}}
			w.setMany(sessions, 0)
			w.moveEntries(t, 50)
			w.setMany(sessions, 1)
			commits := 0
			c.disk.onCommit = func() {
				if commits++; commits == cutAt {
					w.setMany(200, 2) // goes into the log's other segment
					c.disk.cutAt(1, 0)
				}
			}
			require.ErrorIs(t, st.engine.flush(t.Context(), false), errPowerCut)
			require.ErrorIs(t, c.closeInTime(st), errPowerCut)
			require.Empty(t, c.m.problems)
			require.True(t, c.check(c.disk.crash(c.random), c.m), "%.2000s", fmt.Sprint(c.m.problems))
		})
	}
}

package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// allocations is what one operation of ours takes. It is exact: what takes more is slower, and what
// takes less is to be noted here, so that it stays so.
var allocations = map[string]float64{
	"middleware/untouched":   5,
	"middleware/read":        7,
	"middleware/write":       11,
	"middleware/WithSession": 13,
	"middleware/create":      30,
	"WithSession/3 keys":     7,
	"WithSession/300 bytes":  7,
	"sealed/livestore get":   4,
	"sealed/livestore set":   6,
}

// TestAllocationsStayAsTheyAre counts them, because a time depends on what else a machine does.
func TestAllocationsStayAsTheyAre(t *testing.T) {
	eachOf(t, allocations, func(t *testing.T, g *group, want float64) {
		g.prepare(true, t.Output())
		subject, err := g.ours.open()
		require.NoError(t, err)
		defer func() { require.NoError(t, subject.close()) }()
		require.NoError(t, subject.run(2000)) // pools and maps have grown then
		const runs, ops = 20, 100
		least := math.Inf(1) // of the runs in which no pool was emptied
		for range runs {
			least = min(least, testing.AllocsPerRun(1, func() {
				if err := subject.run(ops); err != nil {
					t.Error(err)
				}
			}))
		}
		require.InDelta(t, want, least/ops, 0.5, "allocations of %s", g.name)
	})
}

// eachOf runs a test for each group that is listed, with what the list says of it. All must exist.
func eachOf(t *testing.T, list map[string]float64, test func(t *testing.T, g *group, of float64)) {
	t.Helper()
	found := 0
	require.NoError(t, inTurn(groups(), func(g *group) error {
		if of, listed := list[g.name]; listed {
			found++
			t.Run(g.name, func(t *testing.T) { test(t, g, of) })
		}
		return nil
	}))
	require.Equal(t, len(list), found)
}

// ratios are how many times as much CPU time as ours the peer of a row takes, at the least: about
// half of what is measured. What falls below has become slower by a kind of mistake, not by chance.
var ratios = map[string]float64{
	"middleware/read":        1.8,
	"middleware/write":       1.8,
	"middleware/WithSession": 1.8,
	"WithSession/3 keys":     0.45,
}

// TestRatiosHold compares CPU times of one process, in turns: what else the machine does counts for
// both sides.
func TestRatiosHold(t *testing.T) {
	p := plan{rounds: 5, piece: 20 * time.Millisecond, progress: t.Output()}
	eachOf(t, ratios, func(t *testing.T, g *group, least float64) {
		res, err := p.play(g)
		require.NoError(t, err)
		o := res.outcome(0, cpuPerOp)
		require.GreaterOrEqual(t, o.ratio, least, "ours %v, the peer's %v", o.ours, o.peer)
	})
}

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
	"sealed/livestore set":   7,
}

// TestAllocationsStayAsTheyAre counts them, because a time depends on what else a machine does.
func TestAllocationsStayAsTheyAre(t *testing.T) {
	counted := 0
	require.NoError(t, inTurn(groups(), func(g *group) error {
		want, listed := allocations[g.name]
		if !listed {
			return nil
		}
		counted++
		t.Run(g.name, func(t *testing.T) {
			prepare(t, g)
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
		return nil
	}))
	require.Equal(t, len(allocations), counted)
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
	compared := 0
	require.NoError(t, inTurn(groups(), func(g *group) error {
		least, listed := ratios[g.name]
		if !listed {
			return nil
		}
		compared++
		t.Run(g.name, func(t *testing.T) {
			res, err := p.play(g)
			require.NoError(t, err)
			o := res.outcome(0, cpuPerOp)
			require.GreaterOrEqual(t, o.ratio, least, "ours %v, the peer's %v", o.ours, o.peer)
		})
		return nil
	}))
	require.Equal(t, len(ratios), compared)
}

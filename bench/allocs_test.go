package main

import (
	"math"
	"testing"

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

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	// The machine was ten times slower in the second round, for both sides.
	res := results{
		ours:  []sample{{nsPerOp: 10}, {nsPerOp: 100}, {nsPerOp: 12}},
		peers: [][]sample{{{nsPerOp: 40}, {nsPerOp: 400}, {nsPerOp: 48}}},
	}
	o := res.outcome(0, nsPerOp)
	require.InDelta(t, 4, o.ratio, 1e-9)
	require.InDelta(t, -36, o.extra, 1e-9)
	require.InDelta(t, 12, o.ours[nsPerOp], 1e-9)
	require.InDelta(t, 48, o.peer[nsPerOp], 1e-9)
}

func TestRatioSaysHowMuchBetterOursIs(t *testing.T) {
	require.InDelta(t, 2, nsPerOp.ratio(10, 20), 1e-9, "half the time")
	require.InDelta(t, 2, bytesPerConn.ratio(10, 20), 1e-9, "half the memory")
	require.InDelta(t, 2, perSecond.ratio(20, 10), 1e-9, "twice the rate")
}

func TestTargets(t *testing.T) {
	o := outcome{
		metric: nsPerOp, ratio: 3, extra: 900,
		ours: sample{nsPerOp: 1000, allocsPerOp: 20},
		peer: sample{nsPerOp: 3000, allocsPerOp: 60},
	}
	for _, c := range []struct {
		target target
		met    bool
	}{
		{timesBetter(3), true},
		{timesBetter(3.01), false},
		{under(1001), true},
		{under(1000), false},
		{extraUnder(901), true},
		{extraUnder(900), false},
		{allocsAtMost(20), true},
		{allocsAtMost(19), false},
		{extraAllocsAtMost(-40), true},
		{extraAllocsAtMost(-41), false},
		{exactly(1000), true},
		{exactly(1000.1), false},
		{every(timesBetter(3), under(time.Second)), true},
		{every(timesBetter(3), under(1)), false},
	} {
		require.Equal(t, c.met, c.target.met(o), c.target.text)
	}
	bounded := outcome{metric: p99Ns, ours: sample{p99Ns: 5e6}, peer: sample{p99Ns: 9e5}}
	require.False(t, underWhere(5*time.Millisecond, time.Millisecond).met(bounded))
	bounded.peer[p99Ns] = 1e6
	require.True(t, underWhere(5*time.Millisecond, time.Millisecond).met(bounded), "the machine can't do it")
	bounded.ours[p99Ns], bounded.peer[p99Ns] = 4.9e6, 9e5
	require.True(t, underWhere(5*time.Millisecond, time.Millisecond).met(bounded))
	require.True(t, atMostBytes(5e6).met(outcome{metric: p99Ns, ours: sample{p99Ns: 5e6}}))
	require.False(t, atMostBytes(5e6).met(outcome{metric: p99Ns, ours: sample{p99Ns: 5e6 + 1}}))
	require.Equal(t, "≤ 1200B", atMostBytes(1200).text)
	require.Equal(t, "≤ 64.0MiB", atMostBytes(64<<20).text)
}

func TestTableMarksMissedTargets(t *testing.T) {
	tab := newTable()
	g := &group{name: "g"}
	o := outcome{metric: perSecond, ours: sample{perSecond: 84}, peer: sample{perSecond: 100}, ratio: 0.84}
	tab.add(g, "other", row{"a", perSecond, timesBetter(0.85)}, o)
	tab.add(g, "other", row{"b", perSecond, timesBetter(0.8)}, o)
	tab.add(g, "other", row{"c", perSecond, target{}}, outcome{metric: perSecond, ours: sample{perSecond: 1}})
	require.Equal(t, []string{"g: a", "84/s", "100/s other", "0.84×", "≥ 0.85×", "NO"}, tab.lines[1])
	require.Equal(t, "yes", tab.lines[2][5])
	require.Equal(t, []string{"g: c", "1/s", "–", "–", "–", "–"}, tab.lines[3])
}

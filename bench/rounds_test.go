package main

import (
	"strings"
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
	g := &group{
		name: "g", ours: side{name: "ours"}, peer: side{name: "other", open: func() (*subject, error) { return nil, nil }},
		rows: []row{{"a", perSecond, timesBetter(0.85)}, {"b", perSecond, timesBetter(0.8)}, {"c", nsPerOp, target{}}},
	}
	res := &results{
		ours:        []sample{{perSecond: 84, nsPerOp: 2000, cpuPerOp: 1500, bytesPerOp: 10, allocsPerOp: 1}},
		peers:       [][]sample{{{perSecond: 100, nsPerOp: 3000}}},
		peersAbsent: []string{""},
	}
	var all []result
	for _, r := range g.rows {
		all = append(all, newResult(g, 0, r, res))
	}
	require.Equal(t, []string{"g: a", "84/s", "100/s other", "0.84×", "≥ 0.85×", "NO"}, all[0].cells())
	require.Equal(t, "yes", all[1].cells()[5])
	require.Equal(t, []string{"g: c", "2.00µs 10B 1a 1.50µs-cpu", "3.00µs 0B 0a other", "1.50×", "–", "–"}, all[2].cells())
	more := newResult(g, 0, row{"d", nsPerOp, extraUnder(time.Microsecond)}, res)
	require.Equal(t, "-1.00µs", more.cells()[3])

	res.peers, res.peersAbsent = [][]sample{nil}, []string{"no node here"}
	gone := newResult(g, 0, g.rows[0], res)
	require.Equal(t, []string{"g: a", "84/s", "other: no node here", "–", "≥ 0.85×", "–"}, gone.cells())
	none := newResult(g, 0, g.rows[0], &results{absent: "no disk here"})
	require.Equal(t, []string{"g: a", "no disk here", "–", "–", "≥ 0.85×", "–"}, none.cells())
}

func TestResultsAreBenchmarks(t *testing.T) {
	rep := report{OS: "linux/amd64", CPU: "a processor", Rows: []result{{
		Row: "middleware/read a", Metric: nsPerOp,
		Ours: figures{Name: "ours", Rounds: []sample{{nsPerOp: 10, allocsPerOp: 2}, {nsPerOp: 11, allocsPerOp: 2}}},
		Peer: &figures{Name: "scs", Rounds: []sample{{nsPerOp: 50}}},
	}}}
	var b strings.Builder
	rep.printBenchmarks(&b)
	require.Equal(t, `goos: linux
goarch: amd64
cpu: a processor
BenchmarkMiddleware/read_a/ours 1 10 ns/op 2 allocs/op
BenchmarkMiddleware/read_a/ours 1 11 ns/op 2 allocs/op
BenchmarkMiddleware/read_a/scs 1 50 ns/op
`, b.String())
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkRedis(b *testing.B) { benchmark(b, redisGroups()) }

// Whoever can't be measured here is named with the reason, and nothing else suffers from it.
func TestTheTableSaysWhoIsAbsent(t *testing.T) {
	var measured []string
	away := side{"away", func() (*subject, error) { return nil, absent("no node here") }}
	p, tab := plan{rounds: 1, progress: t.Output()}, newReport(1)
	all := regexp.MustCompile("")
	require.NoError(t, p.addTo(tab, &group{
		name: "a", ours: steady("ours", 60, &measured), peer: away, rows: []row{{"", perSecond, timesBetter(3)}},
		rivals: []rival{{peer: steady("other", 20, &measured), rows: []row{{"other", perSecond, timesBetter(3)}}}},
	}, all))
	require.NoError(t, p.addTo(tab, &group{name: "b", ours: away, peer: steady("peer", 1, &measured), rows: []row{{"", perSecond, timesBetter(3)}}}, all))
	var lines [][]string
	for i := range tab.Rows {
		lines = append(lines, tab.Rows[i].cells())
	}
	require.Equal(t, [][]string{
		{"a", "60/s", "away: no node here", "–", "≥ 3×", "–"},
		{"a: other", "60/s", "20/s other", "3.00×", "≥ 3×", "yes"},
		{"b", "no node here", "–", "–", "≥ 3×", "–"},
	}, lines)
	require.Equal(t, []string{"ours", "other"}, measured)
}

// Without redis-server, node or npm, or with one that can't install, there is a reason and no error, and nothing remains of the attempt.
func TestWhatRedisRowsNeedMayBeMissing(t *testing.T) {
	tools, caches := t.TempDir(), t.TempDir()
	t.Setenv("PATH", tools)
	t.Setenv("XDG_CACHE_HOME", caches)
	t.Setenv("HOME", caches)
	_, err := startRedis()
	require.Equal(t, "no redis-server here", absence(err))
	why := func() string {
		_, err := startPeer(1, t.Output())
		return absence(err)
	}
	require.Equal(t, "no node here", why())
	script := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700)) //nolint:gosec // it is to be run
	}
	script("node", "exit 1")
	require.Equal(t, "no npm here", why())
	script("npm", "exit 1")
	require.Equal(t, "npm can't install it", why())
	files, err := filepath.Glob(filepath.Join(caches, "*", "*"))
	require.NoError(t, err)
	require.Empty(t, files)
	require.Empty(t, absence(nil))
}

// Both sides do what they are told: as many sessions are met as there should be, and one that is missing is found out.
func TestRedisSidesMeetEverySession(t *testing.T) {
	a := &redisArena{}
	a.prepare(true, t.Output())
	defer func() { require.NoError(t, a.close()) }()
	for _, name := range []string{oursName, peerName} {
		side, err := a.open(name)
		if why := absence(err); why != "" {
			t.Log(name, "isn't here:", why)
			continue
		}
		require.NoError(t, err)
		const n = 30
		r := &redisRound{side: side, server: a.server, sessions: n}
		for _, step := range []struct {
			op             string
			n, width, meet int
		}{
			{"create", n, 8, n},
			{"get", 2 * n, 8, 2 * n},
			{"set", n, 8, n},
			{"cached", 3 * n, 8, 3 * n},
			{"user", n, 8, n * perUser},
			{"active", 2, 1, 2 * n / perUser},
			{"lately", 2, 1, 2 * n},
			{"destroy all", 1, 1, n},
			{"lately", 1, 1, 0},
			{"create", n, 8, n},
			{"sweep", 1, 1, n},
			{"lately", 1, 1, 0},
			{"create", n, 8, n},
			{"destroy", n, 8, n},
			{"destroy", n, 8, 0},
		} {
			require.Positive(t, r.took(step.op, step.n, step.width, step.meet), step.op)
			require.NoError(t, r.err)
		}
		r.took("get", n, 8, n)
		require.ErrorContains(t, r.err, "there should be", "they are gone")
		r.err = nil
		r.took("nothing", 1, 1, 0)
		require.Error(t, r.err)
		r.took("create", n, 8, n)
		require.ErrorContains(t, r.err, "nothing", "the first error stays")
	}
}

func TestRedisCountsRoundTrips(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Log("no redis-server here")
		return
	}
	s, err := startRedis()
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	_, err = s.calls()
	require.NoError(t, err)
	for range 3 {
		_, err = s.do("EVAL", "redis.call('SET', 'a', '1') return 'x'", "0")
		require.NoError(t, err)
	}
	calls, err := s.calls()
	require.NoError(t, err)
	require.Equal(t, 3, calls["eval"])
	require.Equal(t, 3, calls["set"])
	calls, err = s.calls()
	require.NoError(t, err)
	require.Zero(t, calls["eval"], "since the last time")
	_, err = s.field("memory", "nothing_like_it")
	require.Error(t, err)
}

func TestRatesAndTimesOfAnyName(t *testing.T) {
	require.InDelta(t, 2, getRate.ratio(20, 10), 1e-9, "twice the rate")
	require.InDelta(t, 2, getAlone.ratio(10, 20), 1e-9, "half the time")
	require.Equal(t, "20/s", cell(sample{getRate: 20}, getRate))
	require.Equal(t, "20.00µs", cell(sample{getAlone: 20_000}, getAlone))
	require.True(t, moreThan(1e6).met(outcome{metric: perSecond, ours: sample{perSecond: 1e6 + 1}}))
	require.False(t, moreThan(1e6).met(outcome{metric: perSecond, ours: sample{perSecond: 1e6}}))
	require.Equal(t, "> 1000000/s", moreThan(1e6).text)
}

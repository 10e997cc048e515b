package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// few is how often an operation runs here.
const few = 50

// Every measurement gives its rows' figures, and figures that can be. Every side that is timed checks that its
// operations have left behind what so many should, and one that was skipped would be found out.
func TestEachGroup(t *testing.T) {
	checked := 0
	require.NoError(t, inTurn(groups(), func(g *group) error {
		t.Run(g.name, func(t *testing.T) {
			requireFigures(t, g)
			if requireCount(t, g.ours) {
				checked++
			}
		})
		return nil
	}))
	require.Greater(t, checked, 10, "rows that are timed have checks")
}

func requireFigures(t *testing.T, g *group) {
	res, err := plan{rounds: 1, quick: true, progress: t.Output()}.play(g)
	require.NoError(t, err)
	for i, v := range g.rivalries() {
		for _, r := range v.rows {
			o := res.outcome(i, r.metric)
			require.Equal(t, r.target.text != "", r.target.met != nil, "a target has a text and a condition")
			if o.absent != "" {
				continue
			}
			require.Positive(t, o.ours[r.metric], r.metric)
			if v.peer.open != nil && o.peerAbsent == "" {
				require.Positive(t, o.peer[r.metric], r.metric)
				require.Positive(t, o.ratio)
			}
		}
	}
}

// requireCount fails if the side's check finds no fault with one operation too few. It returns false if the
// side has none.
func requireCount(t *testing.T, s side) bool {
	subject, err := s.open()
	if absence(err) != "" {
		return false
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, subject.close()) }()
	if subject.check == nil {
		return false
	}
	require.NoError(t, subject.run(few))
	require.ErrorContains(t, subject.check(few+1), "there should be")
	return true
}

func TestRowsHaveNamesOfTheirOwn(t *testing.T) {
	seen := make(map[string]bool)
	for _, g := range groups() {
		for _, v := range g.rivalries() {
			for _, r := range v.rows {
				require.False(t, seen[g.title(r)], g.title(r))
				seen[g.title(r)] = true
			}
		}
	}
}

func TestTheProgramPrintsTheRowsThatMatch(t *testing.T) {
	var out, progress strings.Builder
	require.NoError(t, compare([]string{"-quick", "-rounds", "1", "-run", "untouched$|3 keys"}, &out, &progress))
	require.Regexp(t, regexp.MustCompile(`(?m)^row +ours +peer +ratio +target +met$`), out.String())
	require.Contains(t, out.String(), "middleware/untouched")
	require.Contains(t, out.String(), "WithSession/3 keys")
	require.NotContains(t, out.String(), "scs")
	require.Contains(t, progress.String(), "middleware/untouched .\n")
}

func TestTheProgramRefusesWhatItDoesNotUnderstand(t *testing.T) {
	var out, progress strings.Builder
	for _, args := range [][]string{{"-rounds", "0"}, {"-run", "("}, {"-unknown"}} {
		require.Error(t, compare(args, &out, &progress), args)
	}
	require.Empty(t, out.String())
}

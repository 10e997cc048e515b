package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// few is how often an operation runs in these tests.
const few = 50

// Every side that is timed leaves behind what so many operations should: no more, no less.
func TestEachOperationDoesWhatItsRowClaims(t *testing.T) {
	require.NoError(t, inTurn(groups(), func(g *group) error {
		prepare(t, g)
		for _, s := range g.sides() {
			t.Run(g.name+"/"+s.name, func(t *testing.T) {
				subject, err := s.open()
				if why := absence(err); why != "" {
					t.Log("not here:", why)
					return
				}
				require.NoError(t, err)
				defer func() { require.NoError(t, subject.close()) }()
				if subject.run == nil {
					require.NotNil(t, subject.measure)
					return
				}
				require.NoError(t, subject.run(few))
				if subject.check != nil {
					require.NoError(t, subject.check(few))
				}
			})
		}
		return nil
	}))
}

// The checks count: one operation that was skipped would be found out.
func TestChecksFindMissingOperations(t *testing.T) {
	checked := 0
	require.NoError(t, inTurn(groups(), func(g *group) error {
		prepare(t, g)
		subject, err := g.ours.open()
		if absence(err) != "" {
			return nil
		}
		require.NoError(t, err)
		if subject.check != nil {
			checked++
			require.NoError(t, subject.run(few), g.name)
			require.ErrorContains(t, subject.check(few+1), "there should be", g.name)
		}
		require.NoError(t, subject.close())
		return nil
	}))
	require.Greater(t, checked, 10, "rows that are timed have checks")
}

func prepare(t *testing.T, g *group) {
	if g.fixture != nil {
		g.fixture.prepare(true, t.Output())
	}
}

// Every measurement gives its rows' figures, and figures that can be.
func TestEachMeasurementGivesItsRows(t *testing.T) {
	p := plan{rounds: 1, quick: true, progress: t.Output()}
	require.NoError(t, inTurn(groups(), func(g *group) error {
		t.Run(g.name, func(t *testing.T) {
			res, err := p.play(g)
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
		})
		return nil
	}))
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

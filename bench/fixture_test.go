package main

import (
	"errors"
	"io"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// noted is a fixture that notes what happens to it.
type noted struct {
	name string
	log  *[]string
	err  error
}

func (n *noted) prepare(bool, io.Writer) { *n.log = append(*n.log, "prepare "+n.name) }

func (n *noted) close() error {
	*n.log = append(*n.log, "close "+n.name)
	return n.err
}

func TestFixturesAreClosedAfterTheirLastGroup(t *testing.T) {
	var log []string
	a, b := &noted{name: "a", log: &log}, &noted{name: "b", log: &log}
	groups := []group{{name: "1"}, {name: "2", fixture: a}, {name: "3", fixture: a}, {name: "4", fixture: b}, {name: "5"}}
	visit := func(g *group) error {
		log = append(log, g.name)
		return nil
	}
	require.NoError(t, inTurn(groups, visit))
	require.Equal(t, []string{"1", "2", "3", "close a", "4", "close b", "5"}, log)
}

func TestAFixtureIsClosedWhenItsGroupFails(t *testing.T) {
	var log []string
	bad, worse := errors.New("bad"), errors.New("worse")
	a := &noted{name: "a", log: &log, err: worse}
	err := inTurn([]group{{name: "1", fixture: a}, {name: "2"}}, func(*group) error { return bad })
	require.ErrorIs(t, err, bad)
	require.ErrorIs(t, err, worse)
	require.Equal(t, []string{"close a"}, log)

	err = inTurn([]group{{name: "1", fixture: a}, {name: "2"}}, func(g *group) error {
		require.Equal(t, "1", g.name, "nothing is visited after the error of a close")
		return nil
	})
	require.ErrorIs(t, err, worse)
}

// steady is a side whose samples are given.
func steady(name string, rate float64, measured *[]string) side {
	return side{name, func() (*subject, error) {
		return &subject{
			measure: func(bool) (sample, error) {
				*measured = append(*measured, name)
				return sample{perSecond: rate}, nil
			},
			close: func() error { return nil },
		}, nil
	}}
}

func TestRivalsTakeTheirTurns(t *testing.T) {
	var measured []string
	g := group{
		name: "g", ours: steady("ours", 60, &measured),
		peer: steady("first", 20, &measured), rows: []row{{"first", perSecond, timesBetter(3)}},
		rivals: []rival{
			{peer: steady("second", 30, &measured), rows: []row{{"second", perSecond, timesBetter(3)}}, rounds: 1},
			{peer: steady("third", 40, &measured), rows: []row{{"third", perSecond, target{}}}},
		},
	}
	p := plan{rounds: 2, progress: io.Discard}
	res, err := p.play(&g)
	require.NoError(t, err)
	require.Equal(t, []string{"ours", "first", "second", "third", "third", "first", "ours"}, measured)
	require.InDelta(t, 3, res.outcome(0, perSecond).ratio, 1e-9)
	require.InDelta(t, 2, res.outcome(1, perSecond).ratio, 1e-9)
	require.InDelta(t, 1.5, res.outcome(2, perSecond).ratio, 1e-9)
}

func TestOnlyThePeersOfWantedRowsAreMeasured(t *testing.T) {
	var measured []string
	var log []string
	g := group{
		name: "g", ours: steady("ours", 60, &measured), fixture: &noted{name: "f", log: &log},
		peer: steady("first", 20, &measured), rows: []row{{"first", perSecond, timesBetter(3)}},
		rivals: []rival{{peer: steady("second", 30, &measured), rows: []row{{"second", perSecond, timesBetter(3)}}}},
	}
	p, tab := plan{rounds: 1, progress: io.Discard}, newReport(1)
	require.NoError(t, p.addTo(tab, &g, regexp.MustCompile("nothing")))
	require.Empty(t, measured)
	require.Empty(t, log)

	require.NoError(t, p.addTo(tab, &g, regexp.MustCompile("g: sec")))
	require.Equal(t, []string{"ours", "second"}, measured)
	require.Equal(t, []string{"prepare f"}, log)
	require.Len(t, tab.Rows, 1)
	require.Equal(t, []string{"g: second", "60/s", "30/s second", "2.00×", "≥ 3×", "NO"}, tab.Rows[0].cells())
}

func TestALongGroupIsMeasuredOnRequestOnly(t *testing.T) {
	var measured []string
	g := group{name: "long", ours: steady("ours", 60, &measured), rows: []row{{"", perSecond, target{}}}, onRequest: true}
	p := plan{rounds: 1, progress: io.Discard}
	require.NoError(t, p.addTo(newReport(1), &g, regexp.MustCompile("")))
	require.Empty(t, measured)
	require.NoError(t, p.addTo(newReport(1), &g, regexp.MustCompile("lo")))
	require.Equal(t, []string{"ours"}, measured)
}

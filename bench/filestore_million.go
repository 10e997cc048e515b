package main

import (
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
)

// million is a store of a million sessions, which most groups here share: it takes a minute to
// build.
type million struct {
	arena
	count  int // how many sessions, instead of a million
	ours   contestant
	pebble contestant

	sweepTook time.Duration // the last time
}

func millionGroups() []group {
	m := &million{
		ours:   contestant{name: "ours", make: func(dir string) engine { return newOurs(dir, filestore.Options{}) }},
		pebble: contestant{name: "Pebble", make: newPebblePeer},
	}
	groups := []group{
		{
			name: "file/get one of 1M",
			ours: side{"ours", func() (*subject, error) { return m.gets(&m.ours) }},
			peer: side{"Pebble", func() (*subject, error) { return m.gets(&m.pebble) }},
			rows: []row{{"", nsPerOp, under(2200 * time.Nanosecond)}},
		},
		{
			name:   "file/open 1M after a clean close",
			ours:   m.side((*million).openAgain),
			rows:   []row{{"", totalNs, under(100 * time.Millisecond)}},
			rounds: 3,
		},
		{
			name:   "file/open 1M after a crash with a full log",
			ours:   m.side((*million).openAfterCrash),
			rows:   []row{{"", totalNs, under(time.Second)}},
			rounds: 2,
		},
		{
			name: "file/heap at 1M",
			ours: m.side((*million).heap),
			rows: []row{
				{"idle", bytesIdle, atMostBytes(64 << 20)},
				{"peak while it was filled", bytesPeak, target{}},
			},
			rounds: 1,
		},
		{
			name: "file/1M of 300 B on disk",
			ours: m.side(func(m *million) (sample, error) { return m.space(2_000_000) }),
			rows: []row{
				{"after 2M sets", bytesPerEntry, atMostBytes(1200)},
				{"after Optimize", bytesTidied, atMostBytes(800)},
				{"sets", perSecond, target{}},
				{"Optimize", totalNs, target{}},
			},
			rounds: 1,
		},
		{
			name:   "file/sweep of 10k among 1M",
			ours:   m.side((*million).sweepAlone),
			rows:   []row{{"", totalNs, under(400 * time.Millisecond)}},
			rounds: 3,
		},
		{
			name: "file/gets and durable sets during the sweep",
			ours: m.side((*million).useWhileSwept),
			peer: side{"undisturbed", m.side((*million).useAlone).open},
			rows: []row{
				{"longest", longestNs, extraUnder(10 * time.Millisecond)},
				{"p99", p99Ns, target{}},
			},
			rounds: 3,
		},
	}
	for i := range groups {
		groups[i].fixture = m
	}
	few := &million{count: 200_000, ours: m.ours}
	return append(groups, group{
		name:    "file/200k of 300 B on disk",
		ours:    few.side(func(m *million) (sample, error) { return m.space(1_000_000) }),
		rows:    []row{{"after 1M sets", bytesPerEntry, atMostBytes(1200)}},
		rounds:  1,
		fixture: few,
	})
}

// side is ours, closed before and after measure.
func (m *million) side(measure func(*million) (sample, error)) side {
	return side{"ours", func() (*subject, error) {
		return &subject{
			measure: func(bool) (sample, error) {
				// To have it filled and checked, if it isn't.
				if err := m.enter(&m.ours, m.sessions()); err != nil {
					return nil, err
				}
				if err := m.engine().close(); err != nil {
					return nil, err
				}
				return measure(m)
			},
			close: func() error { return nil },
		}, nil
	}}
}

func (m *million) sessions() int {
	switch {
	case m.quick:
		return 5000
	case m.count > 0:
		return m.count
	}
	return 1_000_000
}

func (m *million) engine() *oursOnDisk {
	return m.ours.engine.(*oursOnDisk) //nolint:forcetypeassert // it is made here
}

// opened calls do while the store is open, and checks it afterwards.
func (m *million) opened(do func(o *oursOnDisk) error) (err error) {
	o := m.engine()
	if err := o.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := do(o); err != nil {
		return err
	}
	return m.ours.check()
}

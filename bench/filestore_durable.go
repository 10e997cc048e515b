package main

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sessionbridge/sessionbridge/filestore"
)

// betweenCheckpoints makes checkpoints fall into a measurement of two seconds even if there is
// little to be checkpointed. By default they would come every ten seconds then, of many more
// changes at a time, which costs less for each.
const betweenCheckpoints = time.Second

// durableGroups are changes of sessions that exist, each synced when it returns, by so many writers
// at once.
func durableGroups() []group {
	a := &arena{}
	ours := &contestant{name: "ours", make: func(dir string) engine {
		return newOurs(dir, filestore.Options{CheckpointEvery: betweenCheckpoints})
	}}
	raw := &contestant{name: "raw log", make: newRawLog}
	together := &contestant{name: "bbolt, a committer", make: committed}
	pebble := &contestant{name: "Pebble", make: newPebblePeer}
	each := &contestant{name: "bbolt, one each", make: ownTransaction}
	batch := &contestant{name: "bbolt, Batch", make: batched}
	files := &contestant{name: "FilesystemStore, unsynced", make: newGorillaFiles}

	var groups []group
	for _, c := range []struct {
		name         string
		writers      int
		ofRaw        float64
		ofBbolt      target
		p99, longest target
	}{
		{"1 writer", 1, 0.9, timesBetter(2), target{}, target{}},
		{"8 writers", 8, 0.65, timesBetter(3), target{}, target{}},
		{
			"64 writers", 64, 0.6, timesBetter(3),
			underWhere(2500*time.Microsecond, time.Millisecond), underWhere(20*time.Millisecond, 8*time.Millisecond),
		},
		{"512 writers", 512, 0.35, target{}, underWhere(12*time.Millisecond, 6*time.Millisecond), target{}},
	} {
		crew := &crew{width: c.writers}
		sets := func(c *contestant) side {
			return side{c.name, func() (*subject, error) { return a.sets(c, crew), nil }}
		}
		rate := func(c *contestant, t target) []row { return []row{{c.name, perSecond, t}} }
		g := group{
			name:    "file/durable sets, " + c.name,
			ours:    sets(ours),
			peer:    sets(raw),
			rows:    rate(raw, timesBetter(c.ofRaw)),
			rounds:  3,
			fixture: a,
			rivals: []rival{
				{peer: sets(together), rows: rate(together, c.ofBbolt)},
				{peer: sets(pebble), rows: rate(pebble, timesBetter(1.5))},
				{peer: sets(each), rows: rate(each, target{}), rounds: 1},
				{peer: sets(batch), rows: rate(batch, target{}), rounds: 1},
				{peer: sets(files), rows: rate(files, target{}), rounds: 1},
			},
		}
		if c.p99.met != nil {
			g.rows = append(g.rows, row{"p99, raw log", p99Ns, c.p99}, row{"longest, raw log", longestNs, c.longest})
		}
		groups = append(groups, g)
	}
	return append(groups, mixedGroup(a, ours, together, pebble))
}

// sets measures random sets by the crew, with the contestant opened before and closed after.
func (a *arena) sets(c *contestant, crew *crew) *subject {
	return a.working(c, crew, func(worker int, rng *rand.Rand) error {
		n := crew.own(worker, len(c.counts), rng)
		c.counts[n]++
		return c.engine.set(n, c.counts[n])
	})
}

// working measures what the crew does to the contestant.
func (a *arena) working(c *contestant, crew *crew, do func(worker int, rng *rand.Rand) error) *subject {
	return &subject{
		measure: func(quick bool) (got sample, err error) {
			sessions, d := 100_000, 2*time.Second
			if quick {
				sessions, d, crew.width = 2000, 20*time.Millisecond, min(crew.width, 32)
			}
			if err := a.enter(c, sessions); err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, c.engine.close()) }()
			if !quick {
				syncAll() // or it would be measured how long the disk is busy with what others have left unwritten
			}
			for _, d := range []time.Duration{d / 10, d} { // first to warm up
				if err := crew.work(d, do); err != nil {
					return nil, err
				}
			}
			return crew.sample(), c.check()
		},
		close: func() error { return nil },
	}
}

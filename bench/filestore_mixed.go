package main

import (
	"fmt"
	"math/rand/v2"
)

// mixedGroup is what sessions are mostly used for: reading. One in ten is stored, too.
func mixedGroup(a *arena, ours, together, pebble *contestant) group {
	crew := &crew{width: 64}
	mixed := func(c *contestant) side {
		return side{c.name, func() (*subject, error) { return a.mixed(c, crew), nil }}
	}
	return group{
		name:    "file/90% gets, 10% durable sets, 64 goroutines",
		ours:    mixed(ours),
		peer:    mixed(together),
		rows:    []row{{together.name, perSecond, target{}}},
		rivals:  []rival{{peer: mixed(pebble), rows: []row{{pebble.name, perSecond, target{}}}}},
		rounds:  3,
		fixture: a,
	}
}

// mixed gets any session, and sets the worker's own.
func (a *arena) mixed(c *contestant, crew *crew) *subject {
	return a.working(c, crew, func(worker int, rng *rand.Rand) error {
		if rng.IntN(10) == 0 {
			n := crew.own(worker, len(c.counts), rng)
			c.counts[n]++
			return c.engine.set(n, c.counts[n])
		}
		n := rng.IntN(len(c.counts))
		rec, err := c.engine.(reader).get(n)
		if err == nil && (rec.Writes == 0 || len(rec.Data) != len(sessionData)) {
			err = fmt.Errorf("session %d isn't what was stored", n)
		}
		return err
	})
}

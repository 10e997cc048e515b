package main

import (
	"errors"
	"math/rand/v2"
)

// warmUp is how many gets come before those that are measured: a file that has just been opened
// isn't in the process's memory, and its first use costs page faults.
const warmUp = 200_000

// gets are of random sessions, one after the other. The store is open meanwhile.
func (m *million) gets(c *contestant) (*subject, error) {
	if err := m.enter(c, m.sessions()); err != nil {
		return nil, err
	}
	engine, rng, found := c.engine.(reader), rand.New(rand.NewPCG(1, 2)), 0 //nolint:gosec // nothing secret
	get := func(n int) error {
		for range n {
			rec, err := engine.get(rng.IntN(len(c.counts)))
			if err != nil {
				return err
			}
			if len(rec.Data) == len(sessionData) {
				found++
			}
		}
		return nil
	}
	if err := get(min(warmUp, len(c.counts))); err != nil {
		return nil, errors.Join(err, c.engine.close())
	}
	found = 0
	return &subject{
		run:   get,
		check: func(n int) error { return errors.Join(same("sessions found", found, n), c.check()) },
		close: c.engine.close,
	}, nil
}

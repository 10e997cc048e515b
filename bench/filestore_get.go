package main

import (
	"errors"
	"math/rand/v2"
)

// gets are of random sessions, one after the other. The store is open meanwhile.
func (m *million) gets(c *contestant) (*subject, error) {
	if err := m.enter(c, m.sessions()); err != nil {
		return nil, err
	}
	engine, rng, found := c.engine.(reader), rand.New(rand.NewPCG(1, 2)), 0 //nolint:gosec // nothing secret
	return &subject{
		run: func(n int) error {
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
		},
		check: func(n int) error { return errors.Join(same("sessions found", found, n), c.check()) },
		close: c.engine.close,
	}, nil
}

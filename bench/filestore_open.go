package main

import (
	"errors"
	"time"
)

// openAgain measures how long it takes until the store is open.
func (m *million) openAgain() (sample, error) {
	start := time.Now()
	var took time.Duration
	err := m.opened(func(*oursOnDisk) error {
		took = time.Since(start)
		return nil
	})
	return sample{totalNs: float64(took)}, err
}

// openAfterCrash has a child store as much as the log holds and be killed at that. Nothing may be
// missing then.
func (m *million) openAfterCrash() (sample, error) {
	logSize := int64(128 << 20) // the default
	if m.quick {
		logSize = 1 << 20
	}
	sets := int(logSize / crashSetSize)
	if err := crash(m.engine().path, sets, logSize); err != nil {
		return nil, err
	}
	for n := range sets {
		m.ours.counts[n%len(m.ours.counts)]++
	}
	logged := &recovered{}
	opts := m.engine().opts
	m.engine().opts.LogSize, m.engine().opts.Logger = logSize, logged.logger()
	defer func() { m.engine().opts = opts }()
	start := time.Now()
	var took time.Duration
	err := m.opened(func(o *oursOnDisk) error {
		took = time.Since(start)
		return inParallel(min(sets, len(m.ours.counts)), func(_, n int) error {
			rec, err := o.get(n)
			o.revisions[n] = rec.Revision
			return errors.Join(err, verifyOne(o, n, m.ours.counts))
		})
	})
	least := int64(sets) / 3
	if m.quick { // so small a log turns after some groups more or less, as the goroutines happen to meet
		least = 1
	}
	if err == nil && logged.changes < least {
		err = same("changes recovered", int(logged.changes), sets)
	}
	return sample{totalNs: float64(took)}, err
}

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/sessionbridge/sessionbridge/store"
)

// engine stores numbered sessions on disk.
type engine interface {
	// fill makes it hold n sessions, each stored once, and leaves it closed. It comes once, before
	// everything else.
	fill(n int, progress func(done int)) error
	open() error
	// set stores the nth session for the count-th time, durably. One goroutine at a time has a
	// session.
	set(n int, count uint64) error
	// verify says what is wrong if a session wasn't stored as often as counts has it. It looks at
	// some.
	verify(counts []uint64) error
	close() error
}

// reader is an engine that finds a session again.
type reader interface {
	engine
	get(n int) (store.Record, error)
}

// contestant is an engine that holds sessions, and knows how often it was told to store each. It is
// closed while others are measured, so that what it still has to do (flush, compact, apply its log)
// doesn't slow them down.
type contestant struct {
	name   string
	make   func(dir string) engine
	engine engine
	counts []uint64
}

// ready fills it if it is empty, and opens it. What it held at its last close it still must.
func (c *contestant) ready(dir string, n int, progress io.Writer) error {
	if c.counts == nil {
		dir, err := os.MkdirTemp(dir, "*")
		if err != nil {
			return err
		}
		c.engine = c.make(dir)
		fmt.Fprintf(progress, "(filling %s", c.name)
		err = c.engine.fill(n, tenths(n, progress))
		fmt.Fprint(progress, ") ")
		if err != nil {
			return fmt.Errorf("filling %s: %w", c.name, err)
		}
		c.counts = make([]uint64, n)
		for i := range c.counts {
			c.counts[i] = 1
		}
	}
	if err := c.engine.open(); err != nil {
		return fmt.Errorf("opening %s: %w", c.name, err)
	}
	return c.check()
}

func (c *contestant) check() error {
	if err := c.engine.verify(c.counts); err != nil {
		return fmt.Errorf("%s: it doesn't do what it claims: %w", c.name, err)
	}
	return nil
}

// verifySome looks at a few hundred sessions.
func verifySome(e reader, counts []uint64) error {
	for range min(500, len(counts)) {
		if err := verifyOne(e, rand.IntN(len(counts)), counts); err != nil { //nolint:gosec // any will do
			return err
		}
	}
	return nil
}

func verifyOne(e reader, n int, counts []uint64) error {
	rec, err := e.get(n)
	if err != nil {
		return fmt.Errorf("session %d: %w", n, err)
	}
	if string(rec.Data) != sessionData {
		return fmt.Errorf("session %d has other data than were stored", n)
	}
	return same(
		fmt.Sprintf("times that session %d was stored", n),
		int(rec.Writes),
		int(counts[n]),
	) //nolint:gosec // few
}

// tenths returns a function to be called with how many of n are done: it prints a dot for each
// tenth.
func tenths(n int, progress io.Writer) func(done int) {
	printed := 0
	return func(done int) {
		for ; printed < 10 && done >= n/10*(printed+1); printed++ {
			fmt.Fprint(progress, "·")
		}
	}
}

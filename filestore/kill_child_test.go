package filestore

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"time"
)

// The child is this test binary, started again with these in its environment.
const (
	childPath  = "FILESTORE_CHILD"       // of the store
	childRound = "FILESTORE_CHILD_ROUND" // a number that no child had before
)

// childWriters is how many goroutines of a child change the store.
const childWriters = 4

// runChild changes the store until it is killed. It says on its standard output what it is about to do, and what was
// acknowledged.
func runChild(path string) {
	out := json.NewEncoder(os.Stdout) // one write to the pipe for each event: what was said before the kill arrives
	say := func(e event) {
		if err := out.Encode(e); err != nil {
			os.Exit(2) // nobody listens
		}
	}
	round, err := strconv.ParseUint(os.Getenv(childRound), 10, 32)
	if err != nil {
		say(event{Op: "problem", Text: err.Error()})
		return
	}
	opts := smallOptions()
	if round%2 == 1 {
		opts.SyncEvery = 20 * time.Millisecond // a kill loses nothing then either
	}
	st, err := Open(path, &opts)
	if err != nil {
		say(event{Op: "problem", Text: err.Error()})
		return
	}
	say(event{Op: "open"})
	m := newModel()
	m.number, m.names, m.journal = round<<20, int(round)<<20, say
	w := &workload{ctx: context.Background(), m: m, st: st, seed: round, first: int(round) * childWriters} //nolint:usetesting // no test runs here
	w.run(childWriters, 1<<30)
	for _, p := range m.problems {
		say(event{Op: "problem", Text: p.String()})
	}
}

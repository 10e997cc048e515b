package storetest

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// testCase tests one sentence of the contract.
type testCase struct {
	name string
	says string
	run  func(e *env)
}

// group is the cases for one capability; has reports whether a store has the capability.
type group struct {
	name  string
	has   func(store.Store) bool
	cases []testCase
}

// Run tests the stores that factory returns: a new and empty one at each call. A store that is an
// io.Closer is closed at the end of its case. The cases run sequentially unless factory calls
// t.Parallel for a case; its first call is with the t of Run. Many cases use the store from several
// goroutines: run them with -race too.
func Run(t *testing.T, factory func(t *testing.T) store.Store) {
	t.Helper()
	st := newStore(t, factory)
	for _, g := range groups() {
		if !g.has(st) { // its sentences don't apply: not a skipped test
			t.Logf("%T has no %s", st, g.name)
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { runCase(t, factory, c) })
			}
		})
	}
}

func newStore(t *testing.T, factory func(t *testing.T) store.Store) store.Store {
	t.Helper()
	st := factory(t)
	if closer, ok := store.As[io.Closer](st); ok {
		t.Cleanup(func() { require.NoError(t, closer.Close(), "Close") })
	}
	return st
}

func runCase(t *testing.T, factory func(t *testing.T) store.Store, c testCase) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("The contract says: %s", c.says)
		}
	})
	e := newEnv(t, newStore(t, factory))
	c.run(e)
	if !t.Failed() {
		e.checkConsistency()
	}
}

func groups() []group {
	return []group{
		{"Store", func(store.Store) bool { return true }, storeCases()},
		{"Concurrency", func(store.Store) bool { return true }, concurrencyCases()},
		{"Lister", is[store.Lister], listerCases()},
		{"Toucher", is[store.Toucher], toucherCases()},
		{"Sweeper", is[store.Sweeper], sweeperCases()},
		{"UserIndex", is[store.UserIndex], userCases()},
		{"ClientIndex", is[store.ClientIndex], clientCases()},
		{"ClientOrder", is[store.ClientOrder], orderCases()},
		{"ActivityIndex", is[store.ActivityIndex], activityCases()},
		{"ActiveLister", is[store.ActiveLister], activeCases()},
		{"Namespacer", is[store.Namespacer], namespaceCases()},
		{"Optimizer", is[store.Optimizer], optimizerCases()},
		{"Watcher", is[store.Watcher], watcherCases()},
		{"UserLocker", is[store.UserLocker], lockerCases()},
		{"Reserver", is[store.Watcher], reserverCases()},
		{"CachedGetter", is[store.CachedGetter], cacheCases()},
		{"Keeper", is[store.Keeper], keeperCases()},
		{"Pinger", is[store.Pinger], pingerCases()},
		{"Closer", is[io.Closer], closerCases()},
	}
}

func is[C any](st store.Store) bool {
	_, ok := store.As[C](st)
	return ok
}

// capability returns the store as a C, which it is.
func capability[C any](st store.Store) C {
	c, ok := store.As[C](st)
	if !ok {
		panic(fmt.Sprintf("storetest: %T has lost a capability", st))
	}
	return c
}

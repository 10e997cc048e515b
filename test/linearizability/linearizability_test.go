package linearizability_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	linActors = 5
	linLength = 15 // operations of each
)

// linSeed is the seed of the histories' operations: LINEARIZABILITY_SEED, or another one each time.
// Their interleaving depends on the scheduler.
func linSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("LINEARIZABILITY_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "LINEARIZABILITY_SEED")
	}
	t.Logf("LINEARIZABILITY_SEED=%d repeats these operations", seed)
	return seed
}

// TestSoakLinearizability: clients use shared sessions concurrently, over HTTP, sockets and by ID,
// with the newest cookie or one that a login has replaced. The answers are as if the operations had
// run one at a time in some order: no update is lost, none counts twice, no session comes back
// after its end, no old token opens anything. 200 histories, half of them on a slow store that
// fails now and then; with SOAK set 2000.
func TestSoakLinearizability(t *testing.T) {
	t.Parallel()
	seed := linSeed(t)
	histories := 200
	if os.Getenv("SOAK") != "" {
		histories = 2000
	}
	var operations, events int
	tally := func(w *linWorld) {
		operations += linActors * linLength
		for i := range w.sessions {
			events += len(w.sessions[i].events)
		}
	}
	for i := range histories {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		if i%2 == 0 {
			t.Run(fmt.Sprintf("livestore/%d", i), func(t *testing.T) {
				w := newLinWorld(t, testkit.NewBridge(t, livestore.New(), linOptions()), webclient.Serve)
				w.run(random)
				w.requireLinearizable()
				tally(w)
			})
			continue
		}
		t.Run(fmt.Sprintf("troubled/%d", i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTroubledWorld(t, livestore.New(), random)
				w.run(random)
				w.requireLinearizable()
				tally(w)
			})
		})
	}
	t.Logf("%d histories of %d actors: %d operations, %d events checked", histories, linActors, operations, events)
}

// TestLinearizabilityHasTeeth: a store that breaks its contract is detected.
func TestLinearizabilityHasTeeth(t *testing.T) {
	seed := linSeed(t)
	for name, breaks := range map[string]func(store.Store) store.Store{
		"without compare-and-set": func(st store.Store) store.Store { return blindStore{st} },
		"set after destroy":       func(st store.Store) store.Store { return undeadStore{st} },
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 100 {
				caught := false
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, uint64(i)))
					w := newTroubledWorld(t, breaks(livestore.New()), random)
					w.run(random)
					for session := range w.sessions {
						caught = caught || w.check(session) == porcupine.Illegal
					}
				})
				if caught {
					t.Logf("caught in history %d", i)
					return
				}
			}
			require.Fail(t, "100 histories passed")
		})
	}
}

// linOptions remove the influence of time: on a slow machine RotateGrace would end at any moment.
func linOptions() *bridge.Options {
	return &bridge.Options{Keys: [][]byte{make([]byte, 32)}, RotateGrace: time.Hour}
}

// newTroubledWorld is for a bubble: time passes only in the store.
func newTroubledWorld(t *testing.T, st store.Store, random *rand.Rand) *linWorld {
	trouble := &troubledStore{Store: st, random: rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))}
	trouble.calm.Store(true)
	w := newLinWorld(t, testkit.NewBridge(t, trouble, linOptions()), webclient.ServeInMemory)
	trouble.calm.Store(false)
	w.troubled = true
	return w
}

// run lets the actors act concurrently, and reads the sessions when they are done.
func (w *linWorld) run(random *rand.Rand) {
	for number := range linActors {
		a := &linActor{linWorld: w, number: number, random: rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))}
		w.actors.Go(func() { a.run(w.t.Context(), linLength) })
	}
	w.actors.Wait()
	last := &linActor{linWorld: w, number: linActors}
	for session := range w.sessions {
		last.byID(w.t.Context(), session, "get")
	}
}

func (w *linWorld) check(session int) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(linModel(), w.sessions[session].events, time.Minute)
}

func (w *linWorld) requireLinearizable() {
	w.t.Helper()
	for session := range w.sessions {
		if got := w.check(session); got != porcupine.Ok {
			w.t.Errorf("session %d: %s. Its events, with the moments between which they took effect:\n%s", session, got, w.story(session))
		}
	}
}

// story returns a session's history as text.
func (w *linWorld) story(session int) string {
	var b strings.Builder
	for _, op := range w.sessions[session].events {
		fmt.Fprintf(&b, "  %4d–%-4d actor %d: %v\n", op.Call, op.Return, op.ClientId, op.Input)
	}
	return b.String()
}

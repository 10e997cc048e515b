package soak_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// farmStory is a history of operations one after another, with the first token where none is named.
func farmStory(events ...farmEvent) (story []porcupine.Operation) {
	for i, e := range events {
		op := porcupine.Operation{ClientId: i, Call: int64(2 * i), Return: int64(2*i + 1)}
		if e.label == 0 && e.kind != farmGone {
			e.label = 1
		}
		if e.maybe {
			op.Return = farmForever
		}
		op.Input = e
		story = append(story, op)
	}
	return story
}

// farmAtOnce makes operations overlap.
func farmAtOnce(story []porcupine.Operation) []porcupine.Operation {
	for i := range story {
		story[i].Call, story[i].Return = 0, 1
	}
	return story
}

// TestFarmModel: histories that the model accepts, and histories that it rejects.
func TestFarmModel(t *testing.T) {
	var (
		two     = farmEvent{kind: farmIncrement, values: farmValues{N: 2}}
		three   = farmEvent{kind: farmIncrement, values: farmValues{N: 3}}
		added   = farmEvent{kind: farmAdd, maybe: true}
		a, b    = farmEvent{kind: farmWrite, values: farmValues{A: 7}}, farmEvent{kind: farmWrite, values: farmValues{B: 8}}
		login   = farmEvent{kind: farmLogin, next: 2, values: farmValues{User: "ada"}}
		destroy = farmEvent{kind: farmDestroy}
		gone    = farmEvent{kind: farmGone}
		refused = farmEvent{kind: farmRefused}
		late    = farmEvent{kind: farmLate}
		cut     = farmEvent{kind: farmCut}
	)
	read := func(v farmValues) farmEvent { return farmEvent{kind: farmRead, values: v} }
	with := func(label int, e farmEvent) farmEvent { e.label = label; return e }
	maybe := func(e farmEvent) farmEvent { e.maybe = true; return e }
	// after a busy outage: not all of the many possible orders may be tried
	outage := func(then ...farmEvent) []porcupine.Operation {
		return farmStory(append(slices.Repeat([]farmEvent{added, maybe(a), maybe(b), with(2, added)}, 24), then...)...)
	}
	for name, story := range map[string][]porcupine.Operation{
		"a life": farmStory(two, a, b, read(farmValues{N: 2, A: 7, B: 8}), login, late, cut, with(2, three),
			with(2, read(farmValues{3, 7, 8, "ada"})), with(2, destroy), with(2, refused), refused, gone, cut),
		"increments at once":              append(farmAtOnce(farmStory(three, two)), farmStory(two, two, read(farmValues{N: 3}))[2:]...),
		"keys merged":                     append(farmAtOnce(farmStory(a, b)), farmStory(a, b, read(farmValues{N: 1, A: 7, B: 8}))[2:]...),
		"unknown, and done":               farmStory(added, read(farmValues{N: 2}), three),
		"unknown, and not done":           farmStory(added, read(farmValues{N: 1}), two),
		"unknown, and done late":          farmStory(added, read(farmValues{N: 1}), read(farmValues{N: 2})),
		"a login whose answer was lost":   farmStory(maybe(login), read(farmValues{N: 1}), late),
		"a destroy whose answer was lost": farmStory(maybe(destroy), read(farmValues{N: 1}), gone),
		"an outage":                       outage(read(farmValues{N: 13}), login, with(2, read(farmValues{N: 37, User: "ada"}))),
	} {
		require.Equal(t, porcupine.Ok, (&farmSession{begin: farmState{cur: 1, values: farmValues{N: 1}}, events: story}).check(), name)
	}
	for name, story := range map[string][]porcupine.Operation{
		"an update lost to another":       farmAtOnce(farmStory(two, two)),
		"an update lost":                  farmStory(two, read(farmValues{N: 1})),
		"a key lost in a merge":           append(farmAtOnce(farmStory(a, b)), farmStory(a, b, read(farmValues{N: 1, B: 8}))[2:]...),
		"a value that nobody wrote":       farmStory(a, read(farmValues{N: 1, A: 9})),
		"an old value":                    farmStory(a, farmEvent{kind: farmWrite, values: farmValues{A: 9}}, read(farmValues{N: 1, A: 7})),
		"an unknown one counted twice":    farmStory(added, read(farmValues{N: 3})),
		"one more than in an outage":      outage(read(farmValues{N: 26})),
		"done and undone in an outage":    outage(read(farmValues{N: 13}), read(farmValues{N: 12})),
		"an unknown one done and undone":  farmStory(added, read(farmValues{N: 2}), read(farmValues{N: 1})),
		"a write after the end":           farmStory(destroy, a),
		"an increment after the end":      farmStory(destroy, two),
		"a login after the end":           farmStory(destroy, login),
		"a look after the end":            farmStory(gone, read(farmValues{N: 1})),
		"back after an unknown end":       farmStory(maybe(destroy), gone, read(farmValues{N: 1})),
		"an end without a reason":         farmStory(gone),
		"an outage that is taken for one": farmStory(refused, read(farmValues{N: 1})),
		"cut off without a reason":        farmStory(cut, two),
		"late without a login":            farmStory(late),
		"a look with a replaced token":    farmStory(login, read(farmValues{N: 1, User: "ada"})),
		"an update with a replaced token": farmStory(login, two),
		"a login with a replaced token":   farmStory(login, farmEvent{kind: farmLogin, next: 3}),
		"a login that changed nothing":    farmStory(login, with(2, read(farmValues{N: 1}))),
	} {
		require.Equal(t, porcupine.Illegal, (&farmSession{begin: farmState{cur: 1, values: farmValues{N: 1}}, events: story}).check(), name)
	}
	ending := farmEvent{kind: farmEnding}
	for denied, stories := range [][][]porcupine.Operation{
		{farmAtOnce(farmStory(destroy, ending)), farmStory(maybe(destroy), gone, ending)},
		{farmStory(destroy, ending), farmStory(gone, ending), farmStory(ending, destroy)},
	} {
		for _, story := range stories {
			require.Equal(t, denied, (&farmSession{events: story}).faults().denied, "%v", story)
		}
	}
}

// TestFarmHasTeeth: a store that breaks its contract is detected, by the model and by counting, and
// so is a server that loses acknowledged writes.
func TestFarmHasTeeth(t *testing.T) {
	t.Parallel() // on servers of its own, which it waits for
	nothing := func(*farmHistory) {}
	for name, broken := range map[string]struct {
		store   string
		server  func(t *testing.T) farmServer
		disturb func(*farmHistory)
		counted func(*farmTally) int
	}{
		"no compare-and-set": {"no compare-and-set", farmServers["Redis"], nothing, func(t *farmTally) int { return t.lost }},
		"no destroy":         {"no destroy", farmServers["PostgreSQL"], nothing, func(t *farmTally) int { return t.revived }},
		"no append-only file": {
			"", func(t *testing.T) farmServer { t.Helper(); return onRedis(t) },
			(*farmHistory).kill, func(t *farmTally) int { return t.kills },
		},
		"asynchronous commits": {
			"", func(t *testing.T) farmServer { t.Helper(); return onPostgres(t, "wal_writer_delay = 10s") },
			func(h *farmHistory) { h.server.(farmPostgres).LoseCommits(); h.while(100 * time.Millisecond); h.kill() }, func(t *farmTally) int { return t.kills },
		},
	} {
		t.Run(name, func(t *testing.T) {
			seed := farmSeed(t)
			f := startFarm(t, broken.server(t), 2, farmTimeout, broken.store)
			for i := 0; f.tally.notLinearizable == 0 || broken.counted(&f.tally) == 0; i++ {
				require.Less(t, i, 30, "nothing is noticed")
				h := &farmHistory{farm: f, random: rand.New(rand.NewPCG(seed, uint64(i)))}
				h.live(farmActors, farmLength, func(done <-chan struct{}) {
					h.while(100 * time.Millisecond)
					broken.disturb(h)
					<-done
				})
				h.count(func(*farmSession, porcupine.CheckResult, farmFaults) {})
			}
			t.Logf("%v", &f.tally)
		})
	}
}

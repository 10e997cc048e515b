package soak_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

const (
	farmNodes  = 3
	farmActors = 5
	farmLength = 40 // operations of each
)

// farmSeed is the seed of the operations and faults: FARM_SEED, or another one each time. Their
// interleaving depends on the machine.
func farmSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FARM_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "FARM_SEED")
	}
	t.Logf("FARM_SEED=%d repeats these operations", seed)
	return seed
}

// besideOthers runs a test in parallel, because it mostly waits, unless it keeps the machine busy
// for minutes.
func besideOthers(t *testing.T) {
	t.Helper()
	if os.Getenv("SOAK") == "" {
		t.Parallel()
	}
}

// TestSoakProcesses: clients use shared sessions concurrently, over HTTP and sockets at three
// processes, while Redis is killed and restarted and the processes' connections to it are cut,
// stalled, refused and delayed. The answers are as if the operations had run one at a time in some
// order: no acknowledged update is lost, none counts twice, no session comes back after its end, no
// replaced token opens anything. 4 histories; with SOAK set 100.
func TestSoakProcesses(t *testing.T) { processes(t, onRedis(t, farmDurable...), 4) }

// TestSoakProcessesOnPostgres is TestSoakProcesses with PostgreSQL, which ends in immediate mode. 2
// histories, because it takes longer to recover; with SOAK set 100.
func TestSoakProcessesOnPostgres(t *testing.T) { processes(t, onPostgres(t), 2) }

func processes(t *testing.T, server farmServer, histories int) {
	t.Helper()
	besideOthers(t)
	if os.Getenv("SOAK") != "" {
		histories = 100
	}
	seed := farmSeed(t)
	f := startFarm(t, server, farmNodes, farmTimeout, "")
	for i := range histories {
		h := &farmHistory{farm: f, random: rand.New(rand.NewPCG(seed, uint64(i)))}
		h.live(farmActors, farmLength, h.disturb)
		h.judgeAll(i)
	}
	f.stop()
	reruns := uint64(0)
	for _, n := range f.nodes {
		require.NotNil(t, n.cmd.ProcessState, "it is gone")
		reruns += n.stats.Reruns + n.stats.Conflicts
	}
	t.Logf("%v; the nodes have met each other %d times", &f.tally, reruns)
	if histories >= 100 { // with few histories some kinds may be missing, because the server is away or the machine is busy
		require.Positive(t, reruns, "they have never met")
	}
	require.GreaterOrEqual(t, f.tally.kills, histories)
	require.GreaterOrEqual(t, f.tally.cuts, histories)
	require.Zero(t, f.tally.lost)
	require.Zero(t, f.tally.twice)
	require.Zero(t, f.tally.revived)
	require.Zero(t, f.tally.denied)
	require.Zero(t, f.tally.notLinearizable)
	require.Zero(t, f.tally.unchecked)
}

// judgeAll checks the history's sessions.
func (h *farmHistory) judgeAll(number int) {
	h.t.Helper()
	for _, what := range h.unexpected {
		h.t.Errorf("history %d: %s", number, what)
	}
	h.count(func(s *farmSession, result porcupine.CheckResult, faults farmFaults) {
		if result != porcupine.Ok || faults != (farmFaults{}) {
			h.t.Errorf("history %d, session %s: %s, %+v. It began with %+v; its events, with the moments between which they took effect:\n%s",
				number, s.id, result, faults, s.begin, s.story())
		}
	})
}

// count adds the history to the tally, and calls tell for each session.
func (h *farmHistory) count(tell func(*farmSession, porcupine.CheckResult, farmFaults)) {
	t := &h.tally
	t.histories++
	t.sessions += len(h.sessions)
	for _, s := range h.sessions {
		result, faults := s.check(), s.faults()
		t.events += len(s.events)
		for _, op := range s.events {
			if e := op.Input.(farmEvent); e.kind == farmLogin && !e.maybe {
				t.logins++
			}
		}
		if s.isOver() {
			t.over++
		}
		switch result {
		case porcupine.Illegal:
			t.notLinearizable++
		case porcupine.Unknown:
			t.unchecked++
		}
		t.lost += faults.lost
		t.twice += faults.twice
		t.revived += faults.revived
		t.denied += faults.denied
		tell(s, result, faults)
	}
}

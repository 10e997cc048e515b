package filestore

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soakSeed is what the operations and crashes are made from: FILESTORE_SEED, or another one each time. The order in which
// goroutines meet is up to the scheduler.
func soakSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FILESTORE_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "FILESTORE_SEED")
	}
	t.Logf("FILESTORE_SEED=%d repeats these operations and crashes", seed)
	return seed
}

func soaking() bool { return os.Getenv("SOAK") != "" }

// crashUntil crashes stores so often, each up to 40 times, and returns what was found. If something was wrong with one, it ends
// that one, and all unless goOn.
func crashUntil(t *testing.T, crashes int, opts Options, lies, goOn bool) (total tally) {
	for seed := soakSeed(t); total.crashes+total.kills < crashes && (goOn || total.wrong() == 0); seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			c := newChain(t, seed, opts, lies)
			for c.round < 40 && total.crashes+total.kills+c.crashes+c.kills < crashes && c.crash() {
			}
			if !goOn {
				require.Empty(t, c.m.problems, "%s", c.explain())
			}
			total.add(c.tally)
		})
	}
	return total
}

// TestSoakG8_Crash: whatever is done to a store by several goroutines at once, and wherever the power is cut, in operation,
// while it is being opened, closed or compacted: what was acknowledged is there, what was destroyed isn't, nothing is there by half, and
// every index agrees. 100 crashes; with SOAK set 10,000.
func TestSoakG8_Crash(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	crashes := 100
	if soaking() {
		crashes = 10000
	}
	total := crashUntil(t, crashes, smallOptions(), false, false)
	t.Logf("%v", &total)
}

// TestSoakG8_CrashSyncEvery: with SyncEvery a kill loses nothing, and a power cut what came last and nothing else.
func TestSoakG8_CrashSyncEvery(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	crashes := 40
	if soaking() {
		crashes = 3000
	}
	opts := smallOptions()
	opts.SyncEvery = 5 * time.Millisecond
	total := crashUntil(t, crashes, opts, false, false)
	t.Logf("%v", &total)
}

// TestG8_CrashWithoutSyncingLosesChanges: on a disk that syncs nothing, the same crashes are found to lose what was acknowledged.
func TestG8_CrashWithoutSyncingLosesChanges(t *testing.T) {
	total := crashUntil(t, 40, smallOptions(), true, true)
	t.Logf("on a disk that syncs nothing: %v", &total)
	require.Greater(t, total.lost, 10)
}

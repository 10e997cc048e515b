package filestore

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSoakG8_KillThenPowerCut: a process is killed anywhere, so that its files are as it wrote them, synced or not; the next one opens
// them and goes on; and then the power is cut anywhere. What either of them acknowledged is there, and so is what the second one has
// shown, although it may have read it from what was never synced.
func TestSoakG8_KillThenPowerCut(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	pairs := 0
	random := rand.New(rand.NewPCG(soakSeed(t), 0))
	step := func() int { // more pairs if there is time
		if soaking() {
			return 1 + random.IntN(3)
		}
		return 16 + random.IntN(40)
	}
	for kill := step(); ; kill += step() {
		killed := true
		for cut := step(); ; cut += step() {
			r := &twice{t: t, chain: newChain(t, uint64(kill)<<32|uint64(cut), smallOptions(), false)}
			var wentOff bool
			killed, wentOff = r.run(kill, cut)
			require.Empty(t, r.chain.m.problems, "killed at %d, cut at %d after that: %s", kill, cut, r.chain.explain())
			pairs++
			if !killed || !wentOff {
				break
			}
		}
		if !killed {
			break
		}
	}
	t.Logf("%d pairs of a kill and a power cut", pairs)
}

type twice struct {
	t     *testing.T
	chain *chain
}

// run reports whether the disk went down in either life.
func (r *twice) run(kill, cut int) (killed, wentOff bool) {
	d := r.chain.disk
	defer os.RemoveAll(d.dir)
	d.cutAt(kill, 0.5)
	r.live(0)
	if !d.isDown() {
		return false, false
	}
	d.restart()
	d.cutAt(cut, 0.5)
	r.live(1)
	if len(r.chain.m.problems) > 0 {
		return true, false
	}
	r.chain.check(d.synced(), nil)
	r.chain.check(d.crash(r.chain.random), nil)
	return true, d.isDown()
}

// live is a small life, with a checkpoint in its middle and one at the end.
func (r *twice) live(n int) {
	st, ok := r.chain.open()
	if !ok {
		return
	}
	defer r.chain.close(st)
	w := &writer{workload: &workload{ctx: r.t.Context(), m: r.chain.m, disk: r.chain.disk, st: st}}
	for i := range 2 {
		key := sessionKey{modelApps[i], fmt.Sprintf("own-%d-%d", n, i)}
		if !w.set(key, 1, 0, true) || !w.set(key, 1, 1, true) || !w.goesOn("checkpoint", st.engine.flush(w.ctx, true)) || !w.set(key, 1, 2, true) {
			return
		}
	}
	w.goesOn("Optimize", st.Optimize(w.ctx))
}

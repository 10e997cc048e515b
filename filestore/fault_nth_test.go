package filestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// faultRun does always the same to a store, on a disk one of whose operations fails.
type faultRun struct {
	t     *testing.T
	chain *chain // for its checks
	fault *fault

	failedOpens, failedChanges, failedCloses int
}

// TestSoakG8_Faults: whichever operation of the disk fails, in Open, in use or in Close: changes are refused from then on
// with the reason, what was acknowledged can still be read, Close returns, and the next Open has all that was acknowledged,
// after a restart of the process as well as of the machine.
func TestSoakG8_Faults(t *testing.T) {
	newFaultRun(t, &fault{}, 0).run() // nothing fails: the runtime opens what it needs for itself
	before := openFiles(t)
	for _, op := range []operation{opOpen, opRead, opWrite, opSync, opTruncate, opRename, opRemove, opSyncDir, opCommit} {
		t.Run(op.String(), func(t *testing.T) {
			var opens, changes, closes, faults int
			for nth := 1; ; nth += stride(op) {
				f := &fault{op: op, nth: nth, err: []error{errIO, errFull}[nth/3%2], short: []float64{0, 0.5, 0.99}[nth%3]}
				r := newFaultRun(t, f, uint64(nth))
				r.run()
				require.Empty(t, r.chain.m.problems, "the %d. %v fails with %v: %s", nth, op, f.err, r.chain.explain())
				opens, changes, closes = opens+r.failedOpens, changes+r.failedChanges, closes+r.failedCloses
				if !f.fired {
					break
				}
				faults++
			}
			t.Logf("%d faults of %v: failed %d times in Open, %d in use, %d in Close", faults, op, opens, changes, closes)
			require.Positive(t, faults)
			if soaking() && (op == opSync || op == opWrite || op == opCommit) {
				require.Positive(t, min(opens, changes, closes))
			}
		})
	}
	require.Equal(t, before, openFiles(t), "a file has stayed open")
}

// stride is how far it is from one operation of a kind that fails to the next: all do if there is time.
func stride(op operation) int {
	if soaking() {
		return 1
	}
	return map[operation]int{opWrite: 23, opCommit: 15, opSync: 9, opOpen: 7}[op] + 1
}

// openFiles returns how many files the process has open; 0 where that can't be known.
func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	require.NoError(t, err)
	return len(entries)
}

func newFaultRun(t *testing.T, f *fault, seed uint64) *faultRun {
	r := &faultRun{t: t, chain: newChain(t, seed, smallOptions(), false), fault: f}
	r.chain.disk.fault = f
	return r
}

// run opens the store four times, the third time after a kill. It ends at the fault, or when all is done.
func (r *faultRun) run() {
	d := r.chain.disk
	defer os.RemoveAll(d.dir)
	for n := range uint64(4) {
		st, err := open(d, d.path(), &r.chain.opts)
		if err != nil {
			r.failedOpens++
			r.requireCause(err)
			require.Contains(r.t, err.Error(), d.dir, "the error names the file, or the folder")
			r.recover()
			return
		}
		r.chain.m.look(r.t.Context(), st, acknowledged, r.chain.m)
		failed := !r.use(st, n)
		if failed {
			r.failedChanges++
			r.requireRefuses(st)
		}
		if n == 1 && !failed {
			d.cutAt(1, 0)
			require.ErrorIs(r.t, r.chain.closeInTime(st), errPowerCut)
			d.restart()
			continue
		}
		if !r.close(st, failed) {
			r.recover()
			return
		}
	}
}

// use is false if the fault was noticed.
func (r *faultRun) use(st *Store, n uint64) bool {
	w := &writer{
		workload: &workload{ctx: r.t.Context(), m: r.chain.m, disk: r.chain.disk, st: st},
		random:   rand.New(rand.NewPCG(7, n)), // the same whichever fails
	}
	for range 12 {
		if !w.step() {
			return false
		}
	}
	if !w.set(sessionKey{"", fmt.Sprintf("own-1%d", n)}, 1, 0, true) || !w.goesOn("checkpoint", st.engine.flush(w.ctx, true)) {
		return false
	}
	if n == 1 && !w.goesOn("Optimize", st.Optimize(w.ctx)) {
		return false
	}
	key := sessionKey{"shop", fmt.Sprintf("own-1%d", n)}
	return w.set(key, 1, 0, true) && w.set(key, 1, 1, true) && w.touch(key)
}

// requireRefuses: the store has failed, or what has failed isn't needed to go on.
func (r *faultRun) requireRefuses(st *Store) {
	if st.engine.database.lost != nil {
		require.ErrorIs(r.t, st.engine.database.lost, r.fault.err, "only without its file can the database not be read")
		return
	}
	_, problems := r.chain.m.look(r.t.Context(), st, acknowledged, nil)
	require.Empty(r.t, problems, "what was acknowledged can be read after %v failed", r.fault.op)
	if st.engine.failed() == nil {
		return
	}
	_, err := st.Set(r.t.Context(), store.Record{ID: "new", Data: []byte("{}")})
	require.ErrorIs(r.t, err, ErrFailed)
	r.requireCause(err)
	_, err = st.Destroy(r.t.Context(), "new")
	require.ErrorIs(r.t, err, ErrFailed)
	require.ErrorIs(r.t, st.Touch(r.t.Context(), "new", modelEpoch), ErrFailed)
	require.ErrorIs(r.t, st.Ping(r.t.Context()), ErrFailed)
	require.ErrorIs(r.t, st.Optimize(r.t.Context()), ErrFailed)
}

// requireCause: the error matches what has failed.
func (r *faultRun) requireCause(err error) {
	require.True(r.t, r.fault.fired, "%v", err)
	require.ErrorIs(r.t, err, r.fault.err)
}

// close is false if the store was closed with an error, as it must be once it has failed.
func (r *faultRun) close(st *Store, failed bool) bool {
	failed = failed && st.engine.failed() != nil
	err := r.chain.closeInTime(st)
	if err == nil {
		require.False(r.t, failed, "Close says nothing of the failure")
		r.chain.m.closed()
		return true
	}
	if !failed {
		r.failedCloses++
	}
	r.requireCause(err)
	_, err = st.Get(r.t.Context(), "x")
	require.ErrorIs(r.t, err, store.ErrClosed)
	return false
}

// recover opens what is left on a disk that works: by the process, and after power cuts.
func (r *faultRun) recover() {
	c := r.chain
	left, err := c.disk.current()
	require.NoError(r.t, err)
	c.check(left, nil)
	c.check(c.disk.synced(), nil)
	c.check(c.disk.crash(c.random), nil)
	c.disk.fault = nil
	c.disk.restart()
	if st, ok := c.open(); ok {
		require.NoError(r.t, c.closeInTime(st))
	}
}

// TestG8_FaultInOpenLeavesNothingBehind: whatever fails while a store is being made, there is none or an empty one.
func TestG8_FaultInOpenLeavesNothingBehind(t *testing.T) {
	for cut := 1; ; cut++ {
		d := newCrashDisk(t, fastDir(t), nil)
		d.cutAt(cut, 0.5)
		st, err := open(d, d.path(), nil)
		if err == nil {
			_ = st.Close() // what is cut there is another test
			require.Greater(t, cut, 5)
			return
		}
		require.ErrorIs(t, err, errPowerCut)
		for i := range 3 {
			dir := fastDir(t)
			require.NoError(t, d.crash(rand.New(rand.NewPCG(uint64(cut), uint64(i)))).save(dir))
			st, err := Open(filepath.Join(dir, storeName), nil)
			require.NoError(t, err, "cut at %d:\n%s", cut, d.tail(20))
			require.NoError(t, st.Close())
		}
	}
}

package filestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chain is the life of a store through one crash after another: each leaves what the next one begins with.
type chain struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	opts   Options
	lies   bool // the disk

	m     *model
	disk  *crashDisk
	round uint64
	tally
}

// tally counts what was found.
type tally struct {
	crashes, kills, answered  int
	lost, invented, different int
}

func (t *tally) add(o tally) {
	t.crashes += o.crashes
	t.kills += o.kills
	t.answered += o.answered
	t.lost += o.lost
	t.invented += o.invented
	t.different += o.different
}

func (t *tally) wrong() int { return t.lost + t.invented + t.different }

func (t *tally) String() string {
	return fmt.Sprintf("%d crashes, %d of them kills, %d acknowledged operations: %d lost, %d invented, %d inconsistent",
		t.crashes+t.kills, t.kills, t.answered, t.lost, t.invented, t.different)
}

// smallOptions make the store turn its log and bring it into the database as often as they can.
func smallOptions() Options { return Options{LogSize: minLogSize, CheckpointEvery: minCheckpointEvery} }

func newChain(t *testing.T, seed uint64, opts Options, lies bool) *chain {
	c := &chain{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), opts: opts, lies: lies, m: newModel()}
	c.disk = c.newDisk(nil)
	return c
}

func (c *chain) newDisk(img image) *crashDisk {
	d := newCrashDisk(c.t, fastDir(c.t), img)
	d.lies = c.lies
	return d
}

// crash runs the store until the disk goes down, and checks what can be left of it. It is false when something was wrong.
func (c *chain) crash() bool {
	c.round++
	c.disk.cutAt(c.cut(), c.random.Float64())
	c.live()
	if len(c.m.problems) > 0 {
		return c.done()
	}
	if c.random.IntN(4) == 0 {
		c.disk.restart() // the files are as the process left them, written or synced; the next round looks at them
		c.kills++
		return c.done()
	}
	for range 2 { // power cuts that the disk could have come out of in this way as well
		if !c.check(c.disk.crash(c.random), nil) {
			return c.done()
		}
	}
	img := c.disk.crash(c.random)
	if !c.check(img, c.m) {
		return c.done()
	}
	require.NoError(c.t, os.RemoveAll(c.disk.dir))
	c.disk = c.newDisk(img)
	return c.done()
}

// cut returns after how many steps of the disk the power is cut: often while the store is being opened, or just after.
func (c *chain) cut() int {
	switch c.random.IntN(4) {
	case 0:
		return 1 + c.random.IntN(20)
	case 1:
		return 1 + c.random.IntN(60)
	}
	return 1 + c.random.IntN(400)
}

// live opens the store and has it changed, closed and opened again, until the disk goes down.
func (c *chain) live() {
	for n := uint64(0); !c.disk.isDown() && len(c.m.problems) == 0; n++ {
		st, ok := c.open()
		if !ok {
			return
		}
		w := &workload{ctx: c.t.Context(), m: c.m, disk: c.disk, st: st, seed: c.seed, round: c.round<<16 | n}
		w.run(1+c.random.IntN(4), 20+c.random.IntN(200))
		c.close(st)
		if n == 20 {
			c.disk.cutAt(1, 0)
		}
	}
}

// open opens the store on the disk, and takes note of what it holds.
func (c *chain) open() (*Store, bool) {
	st, err := open(c.disk, c.disk.path(), &c.opts)
	if err != nil {
		if !c.disk.failing() || !errors.Is(err, errPowerCut) {
			c.m.report(lost, "open: %v", err)
		}
		return nil, false
	}
	c.m.look(c.t.Context(), st, acknowledged, c.m)
	return st, true
}

// look compares what the store holds with what it should. If it does, into is told.
func (m *model) look(ctx context.Context, st *Store, floor floors, into *model) (contents, []problem) {
	found, problems := contentsOf(ctx, st)
	states, more := m.compare(found, floor)
	problems = append(problems, more...)
	if into != nil {
		m.mu.Lock()
		m.problems = append(m.problems, problems...)
		m.mu.Unlock()
		if len(problems) == 0 {
			into.opened(found, states)
		}
	}
	return found, problems
}

// close closes the store.
func (c *chain) close(st *Store) {
	switch err := c.closeInTime(st); {
	case err == nil && c.lies:
	case err == nil:
		c.m.closed()
	case !c.disk.failing() || !errors.Is(err, errPowerCut):
		c.m.report(inconsistent, "close: %v", err)
	}
}

// closeInTime closes the store, which must not hang.
func (c *chain) closeInTime(st *Store) error {
	closed := make(chan error, 1)
	go func() { closed <- st.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(time.Minute):
		panic("Close hangs; seed " + fmt.Sprint(c.seed))
	}
}

// check opens the store in the image, on a disk that works, and compares. Everything that can be asked is asked.
func (c *chain) check(img image, into *model) bool {
	c.crashes++
	dir := fastDir(c.t)
	defer os.RemoveAll(dir)
	require.NoError(c.t, img.save(dir))
	path := filepath.Join(dir, storeName)
	st, err := open(osDisk{}, path, &c.opts)
	if err != nil {
		c.m.report(lost, "open after a power cut: %v", err)
		return false
	}
	floor := acknowledged
	if c.opts.SyncEvery > 0 {
		floor = openedWith
	}
	found, problems := c.m.look(c.t.Context(), st, floor, into)
	if into == nil && len(problems) == 0 {
		problems = sweepAll(c.t.Context(), st, found)
	}
	if err := st.Close(); err != nil {
		problems = append(problems, problem{inconsistent, fmt.Sprintf("close after a power cut: %v", err)})
	}
	if report, err := Check(path); err != nil || !report.OK() {
		problems = append(problems, problem{inconsistent, fmt.Sprintf("after a power cut and a recovery, Check says: %v, %v", report, err)})
	}
	for _, p := range problems {
		c.m.report(p.kind, "%s", p.text)
	}
	return len(problems) == 0
}

// done counts what was wrong.
func (c *chain) done() bool {
	c.answered = c.m.answered
	for _, p := range c.m.problems {
		switch p.kind {
		case lost:
			c.lost++
		case invented:
			c.invented++
		default:
			c.different++
		}
	}
	return len(c.m.problems) == 0
}

// explain says what was wrong, and what was done before.
func (c *chain) explain() string {
	texts := make([]string, 0, len(c.m.problems))
	for _, p := range c.m.problems {
		texts = append(texts, p.String())
	}
	return fmt.Sprintf("seed %d, round %d: %s\n\nthe disk:\n%s\n\nthe store:\n%s", c.seed, c.round,
		strings.Join(texts[:min(20, len(texts))], "\n"), c.disk.tail(60), strings.Join(c.m.history[max(0, len(c.m.history)-60):], "\n"))
}

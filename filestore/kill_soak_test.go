package filestore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testclock"
)

// TestSoakG8_Kill: a process that changes a store with several goroutines is killed, with no warning, at any moment; whoever
// opens the store next finds all that it has acknowledged, and no lock in the way. While it lives nobody else can open the
// store. 10 kills; with SOAK set 50.
func TestSoakG8_Kill(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	rounds := 10
	if soaking() {
		rounds = 50
	}
	random := rand.New(rand.NewPCG(soakSeed(t), 0))
	path := filepath.Join(fastDir(t), storeName)
	m := newModel()
	killedOpen := 0
	for round := range rounds {
		c := startChild(t, path, round, random)
		c.kill(m)
		if c.opened {
			killedOpen++
		}
		requireAcknowledged(t, path, m)
	}
	t.Logf("%d kills, %d of them of a store that was open, %d acknowledged operations: all there", rounds, killedOpen, m.answered)
	require.Positive(t, m.answered)
}

// requireAcknowledged opens the store and closes it.
func requireAcknowledged(t *testing.T, path string, m *model) {
	t.Helper()
	opts := smallOptions()
	st, err := Open(path, &opts)
	require.NoError(t, err)
	m.look(t.Context(), st, acknowledged, m)
	require.NoError(t, st.Close())
	require.Empty(t, m.problems)
}

type child struct {
	t       *testing.T
	path    string
	command *exec.Cmd
	cancel  context.CancelFunc
	lines   *bufio.Scanner
	after   int // events, or a while, is the child killed
	opened  bool
}

// startChild starts a child that is killed after a number of events, or, every third, after a while, in Open perhaps.
func startChild(t *testing.T, path string, round int, random *rand.Rand) *child {
	t.Helper()
	c := &child{t: t, path: path, after: 1 + random.IntN(1500)}
	ctx, cancel := context.WithCancel(t.Context())
	c.cancel = cancel
	c.command = exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	c.command.Env = append(os.Environ(), childPath+"="+path, childRound+"="+strconv.Itoa(round))
	c.command.Stderr = os.Stderr
	out, err := c.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.command.Start())
	if round%3 == 2 {
		time.AfterFunc(time.Duration(random.IntN(100))*time.Millisecond, cancel)
		c.after = 1 << 30
	}
	c.lines = bufio.NewScanner(out)
	c.lines.Buffer(nil, 1<<20)
	return c
}

// kill has m follow the child, kills it, and has m follow what else it has said until then.
func (c *child) kill(m *model) {
	defer c.cancel()
	f := newFollower(m)
	for n := 0; c.lines.Scan(); n++ {
		var e event
		if err := json.Unmarshal(c.lines.Bytes(), &e); err != nil {
			require.False(c.t, c.lines.Scan(), "only the last event can be cut off: %v", err)
			break
		}
		f.follow(e)
		if n == 0 && f.opened {
			c.requireLocked()
		}
		if n == c.after {
			c.cancel()
		}
	}
	c.opened = f.opened
	require.NoError(c.t, c.lines.Err())
	var exit *exec.ExitError
	require.ErrorAs(c.t, c.command.Wait(), &exit, "it was killed, and didn't end by itself")
}

// requireLocked: nobody else can open the store, and is told so at once, and who has it. The child may be killed meanwhile, if it is
// killed after a while.
func (c *child) requireLocked() {
	clock := testclock.Start(c.t, nil)
	st, err := Open(c.path, nil)
	if err == nil && c.after == 1<<30 {
		require.NoError(c.t, st.Close())
		return
	}
	require.ErrorIs(c.t, err, ErrLocked)
	require.Less(c.t, clock.Elapsed(), 5*time.Second)
	var locked *LockedError
	require.True(c.t, errors.As(err, &locked))
	require.Equal(c.t, LockedError{Path: c.path, PID: c.command.Process.Pid}, *locked)
	require.ErrorContains(c.t, err, c.path)
	require.ErrorContains(c.t, err, strconv.Itoa(c.command.Process.Pid))
}

package soak_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// clientProcess is the process of clients, for its parent.
type clientProcess struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	mu  sync.Mutex
	out *json.Encoder
}

// startCrowd starts the process. It calls hear for each report, the last one before stop returns.
func startCrowd(t *testing.T, addr string, hear func(report)) (p *clientProcess, stop func()) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^$") // it ends with its input
	cmd.Env = append(os.Environ(), crowdVariable+"="+addr)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var hearing sync.WaitGroup
	hearing.Go(func() {
		for reports := json.NewDecoder(out); ; {
			var r report
			if reports.Decode(&r) != nil {
				return
			}
			hear(r)
		}
	})
	stop = sync.OnceFunc(func() {
		_ = in.Close()
		hearing.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the clients: %v", err)
		}
	})
	t.Cleanup(stop)
	return &clientProcess{t: t, cmd: cmd, in: in, out: json.NewEncoder(in)}, stop
}

func (p *clientProcess) send(o order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.out.Encode(o); err != nil {
		p.t.Errorf("the clients are gone: %v", err)
	}
}

// tally has the sums over all ended sockets and sessions.
type tally struct{ sockets, finished, sent, answered, notes, pings int }

func (t *tally) add(r report) {
	t.sockets++
	t.sent += r.Sent
	t.answered += r.Answered
	t.pings += r.Pings
	if r.First != 0 {
		t.notes += r.Last - r.First + 1
	}
}

// String names a guest in a failure.
func (g *guest) String() string {
	return fmt.Sprintf("socket %d (%s) with code %d for the client, %d for the server, of %v", g.id, g.party.fate.name, g.theirs, g.ours, g.wants)
}

func (c *crowd) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(format, args...)
}

// failLocked records a failure, and ends the test early after the 20th. The lock is held.
func (c *crowd) failLocked(format string, args ...any) {
	if c.problems = append(c.problems, fmt.Sprintf(format, args...)); len(c.problems) == 20 {
		c.stop()
	}
}

// measured are the resources that the process uses.
type measured struct {
	heap       uint64 // bytes, after a collection
	goroutines int
}

func (m measured) String() string {
	return fmt.Sprintf("%d goroutines, %.1f MiB", m.goroutines, float64(m.heap)/(1<<20))
}

// measure returns the resources that the process uses when it is idle, with exactly the expected
// sockets.
func (c *crowd) measure() (m measured) {
	c.pause()
	defer c.resume()
	c.settle(nil)
	runtime.GC()
	runtime.GC() // empties the pools
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.heap = mem.HeapAlloc
	few := func() bool { // a socket that expires takes another goroutine during its close
		m.goroutines = runtime.NumGoroutine()
		return m.goroutines <= c.size.sockets+aroundSockets
	}
	if !eventually(few, await.Limit) {
		c.fail("%d goroutines for %d sockets", m.goroutines, c.size.sockets)
	}
	return m
}

// aroundSockets is how many goroutines there are besides those of the sockets: servers and clients
// of a few requests, workers, and the test's own.
const aroundSockets = 100

// settle waits until exactly the expected sockets and sessions exist, in memory and in the store.
// At that moment it calls then, under the lock.
func (c *crowd) settle(then func()) {
	var why string
	ok := func() bool {
		select {
		case <-c.stopped:
			return true
		default:
		}
		s := c.app.Bridge.Stats()
		stored := c.stored()
		c.mu.Lock()
		defer c.mu.Unlock()
		why = fmt.Sprintf("%d sockets of %d, %d of them settled, %d acts, %d on their way out; %d sessions, %d in memory, %d stored", s.Conns, c.size.sockets, c.live, c.acting, c.going, len(c.visits), s.Attached, len(stored))
		settled := c.live == c.size.sockets && c.acting == 0 && c.going == 0 && s.Conns == c.live && s.Attached == len(c.visits) && len(stored) == len(c.visits)
		if settled && then != nil {
			then()
		}
		return settled
	}
	if !eventually(ok, c.size.settles) {
		c.fail("it doesn't settle: %s", why)
		c.stop()
	}
}

func eventually(ok func() bool, within time.Duration) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); <-tick.C {
		if ok() {
			return true
		}
	}
	return false
}

// progress prints a line about the crowd.
func (c *crowd) progress() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ends []string
	for _, code := range slices.Sorted(maps.Keys(c.ends)) {
		ends = append(ends, fmt.Sprintf("%d× %d", c.ends[code], code))
	}
	fmt.Fprintf(os.Stdout, "crowd: %3d s: %d sockets; ended %s; %d sessions over; of those sockets %d messages, %d answers, %d notes, %d pings; timers %v late, closes take %v, ends by time %v; %d problems\n",
		c.seconds(), c.live, strings.Join(ends, ", "), c.total.finished, c.total.sent, c.total.answered, c.total.notes, c.total.pings,
		c.lag.Round(time.Millisecond), c.slowest.Round(time.Millisecond), c.late.Round(time.Millisecond), len(c.problems))
}

func (c *crowd) seconds() int { return int(time.Since(c.start).Seconds()) }

package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testclock"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/store"
)

// killing is a farm whose nodes are killed. The test's process is a node, too, which is not killed:
// the farm's direct Bridge.
type killing struct {
	*farm
	random  *rand.Rand // of the test's goroutine
	proxies []farmProxy
	st      farmStore  // of the test's process
	others  store.Node // that asks for the names of the nodes, and has left them itself
	began   time.Time
	control *testclock.Clock // of which now is

	mu     sync.Mutex
	slots  []*killNode // nil while a new process starts
	deaths []*death
	ever   []*killSession
	users  map[string]*killUser

	judging, listening      sync.WaitGroup
	count                   killCount
	ends, rebinds, expiries killDelays // from the answer to a destroy to the ends of the session's sockets; likewise a login, or a new session of the client; from a deadline
}

// killNode is a process in one of the slots.
type killNode struct {
	*farmNode
	name   string // of the node in the store
	killed atomic.Bool
}

// death is the end of a node.
type death struct {
	name                  string
	at, gone              time.Time     // gone: when the nodes no longer know it
	died                  time.Duration // by the clock
	known                 time.Duration // likewise, for how long after that
	conns, activity       time.Time     // when the first complete results were requested afterwards
	shortened, overlapped bool
}

// killCount counts what was done.
type killCount struct {
	sessions, http, sockets, messages, unknown, logins, rebinds, logouts, byID, bySocket, byUser, expired, surprises atomic.Int64
	notes, asked, silent, conflicts, excused                                                                         atomic.Int64
}

// complete reports whether every kind of operation has been done, and every kind of end has been seen.
func (k *killing) complete() bool {
	return k.count.complete() && k.ends.any() && k.rebinds.any() && k.expiries.any()
}

// complete reports whether every kind of operation has been done.
func (c *killCount) complete() bool {
	for _, n := range []*atomic.Int64{&c.notes, &c.asked, &c.excused, &c.messages} {
		if n.Load() == 0 {
			return false
		}
	}
	return len(c.undone()) == 0
}

// String returns two lines with all counts.
func (c *killCount) String() string {
	return fmt.Sprintf("%d sessions, %d requests, %d sockets, %d messages, of which %d with an unknown outcome and %d given up after conflicts; %d logins, %d new sessions of a client\n",
		c.sessions.Load(), c.http.Load(), c.sockets.Load(), c.messages.Load(), c.unknown.Load(), c.conflicts.Load(), c.logins.Load(), c.rebinds.Load()) +
		fmt.Sprintf("ended: %d by logout, %d by ID, %d over a socket, %d times all of a user's, which surprised %d, %d by time; %d notes heard; %d questions to all nodes, %d times one was silent; %d sockets ended with their node",
			c.logouts.Load(), c.byID.Load(), c.bySocket.Load(), c.byUser.Load(), c.surprises.Load(), c.expired.Load(), c.notes.Load(), c.asked.Load(), c.silent.Load(), c.excused.Load())
}

// startKilling starts three nodes.
func startKilling(t *testing.T, server farmServer) *killing {
	t.Helper()
	seed := farmSeed(t)
	k := &killing{farm: startFarm(t, server, 0, await.Limit, ""), random: rand.New(rand.NewPCG(seed, 0)), users: map[string]*killUser{}}
	for i := range killUsers {
		name := fmt.Sprint("user", i)
		k.users[name] = &killUser{name: name, logged: map[*killSession]int64{}}
	}
	st, err := openFarmStore(t.Context(), server.URL(), 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	k.st = st
	k.began, k.control = time.Now(), redistest.Start(t).Clock() // the nodes' server will be killed
	k.others = st.Watch(func(store.Change) {})
	require.NoError(t, k.others.Leave(t.Context())) // it receives no questions, but can ask
	for range farmNodes {
		k.slots = append(k.slots, nil)
		k.proxies = append(k.proxies, server.Proxy())
	}
	t.Cleanup(k.stop) // before the proxies
	require.Eventually(t, func() bool { return len(k.names()) == 1 }, await.Limit, 10*time.Millisecond, "the test's own Bridge")
	for i := range k.slots {
		k.startNode(i)
	}
	return k
}

// now is the clock for the ends of sockets: it slows down when the machine is busy.
func (k *killing) now() time.Time { return k.began.Add(k.control.Elapsed()) }

// names returns the names of the other nodes.
func (k *killing) names() []string {
	names, err := k.others.Nodes(context.WithoutCancel(k.t.Context()))
	if err != nil {
		k.t.Errorf("nodes: %v", err)
	}
	return names
}

// startNode starts a process in a slot, and waits until the others know it.
func (k *killing) startNode(slot int) {
	k.t.Helper()
	before := k.names()
	n := &killNode{farmNode: startFarmNode(k.t, k.proxies[slot], "", await.Limit)}
	k.nodes = append(k.nodes, n.farmNode)
	n.awaitAddr(k.t)
	require.Eventually(k.t, func() bool {
		for _, name := range k.names() {
			if !slices.Contains(before, name) {
				n.name = name
			}
		}
		return n.name != ""
	}, await.Limit, 5*time.Millisecond, "the others don't know the new node")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slots[slot] = n
}

// kill kills the process in a slot, with all of its operations under way.
func (k *killing) kill(slot int) *death {
	k.t.Helper()
	k.mu.Lock()
	n := k.slots[slot]
	k.slots[slot] = nil
	d := &death{name: n.name, at: time.Now(), died: k.control.Elapsed()}
	for _, other := range k.deaths {
		if other.gone.IsZero() {
			other.overlapped, d.overlapped = true, true
		}
	}
	k.deaths = append(k.deaths, d)
	n.killed.Store(true)
	k.mu.Unlock()
	require.NoError(k.t, n.cmd.Process.Kill())
	_ = n.cmd.Wait()
	status, ok := n.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(k.t, ok && status.Signal() == syscall.SIGKILL, "it has ended before: %v", n.cmd.ProcessState)
	_ = n.in.Close()
	k.nodes = slices.DeleteFunc(k.nodes, func(other *farmNode) bool { return other == n.farmNode })
	return d
}

// endLease ends the lease of a dead node early.
func (k *killing) endLease(d *death) {
	k.t.Helper()
	k.mu.Lock()
	d.shortened = true
	k.mu.Unlock()
	k.server.EndLease(d.name)
}

// living returns the nodes that are alive.
func (k *killing) living() (nodes []*killNode) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.slots {
		if n != nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (k *killing) pick(random *rand.Rand) *killNode {
	nodes := k.living()
	return nodes[random.IntN(len(nodes))]
}

// watch checks, until done, which nodes the others know: all that are alive, and dead ones for 15
// seconds at most.
func (k *killing) watch(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
		}
		before, at := k.living(), time.Now()
		names := k.names()
		for _, n := range before {
			if !slices.Contains(names, n.name) && !n.killed.Load() {
				k.t.Errorf("the nodes don't know %s, which is alive", n.name)
			}
		}
		k.mu.Lock()
		for _, d := range k.deaths {
			if d.gone.IsZero() && at.After(d.at) && !slices.Contains(names, d.name) {
				d.gone, d.known = at, k.control.Elapsed()-d.died
			}
		}
		k.mu.Unlock()
	}
}

// allGone reports whether no dead node is known any more.
func (k *killing) allGone() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !slices.ContainsFunc(k.deaths, func(d *death) bool { return d.gone.IsZero() })
}

// askAll asks all nodes, until done, for their connections and activity. An answer may miss a dead
// node as long as the others know it, and waits for it.
func (k *killing) askAll(done <-chan struct{}, random *rand.Rand) {
	var asking sync.WaitGroup
	defer asking.Wait()
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		case <-time.After(200 * time.Millisecond):
		}
		what, n := []string{"conns", "activity"}[i%2], k.pick(random)
		asking.Go(func() {
			at, begun := time.Now(), k.control.Elapsed()
			v, _, err := k.ask(n.farmNode, "", map[string][]string{"do": {what}})
			if err != nil {
				k.broken(n, what, err)
				return
			}
			k.count.asked.Add(1)
			k.answered(what, v.Word, at, k.control.Elapsed()-begun)
		})
	}
}

// killSilence is a little less than the time that a node has for an answer, because on a busy
// machine the clock is slower.
const killSilence = 1900 * time.Millisecond

// answered checks an answer about all nodes, to a question that was asked at asked and took so long
// by the clock.
func (k *killing) answered(what, word string, asked time.Time, took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch word {
	case "ok":
		for _, d := range k.deaths {
			if what == "conns" && asked.After(d.at) && (d.conns.IsZero() || asked.Before(d.conns)) {
				d.conns = asked
			}
			if what == "activity" && asked.After(d.at) && (d.activity.IsZero() || asked.Before(d.activity)) {
				d.activity = asked
			}
		}
	case "silent":
		k.count.silent.Add(1)
		if took >= killSilence && !slices.ContainsFunc(k.deaths, func(d *death) bool { return d.gone.IsZero() || asked.Before(d.gone) }) {
			k.t.Errorf("%s: a node is silent, though all that have died are gone", what)
		}
	default:
		k.t.Errorf("%s: %s", what, word)
	}
}

// broken is called when a node hasn't answered: it must have been killed.
func (k *killing) broken(n *killNode, what string, err error) {
	if !n.killed.Load() {
		k.t.Errorf("%s at a node that is alive: %v", what, err)
	}
}

// TestSoakKilledNodes: three nodes, one of which is killed again and again and replaced, while
// clients read, change, log in to and end sessions over HTTP and sockets, and send messages. No
// acknowledged update is lost and no session comes back; sockets on living nodes end with their
// sessions; a dead node is no longer known after 15 seconds, and leaves nothing on the server in the
// end. A few seconds, in which leases are ended early; with SOAK set two minutes, in which they end
// by themselves.
func TestSoakKilledNodes(t *testing.T) { killNodes(t, onRedis(t)) }

// TestSoakKilledNodesOnPostgres is TestSoakKilledNodes with PostgreSQL.
func TestSoakKilledNodesOnPostgres(t *testing.T) { killNodes(t, onPostgres(t)) }

func killNodes(t *testing.T, server farmServer) {
	t.Helper()
	besideOthers(t)
	soak := os.Getenv("SOAK") != ""
	lasts := 2 * time.Second
	if soak {
		lasts = 2 * time.Minute
	}
	k := startKilling(t, server)
	load, questions := make(chan struct{}), make(chan struct{})
	stopLoad, stopQuestions := sync.OnceFunc(func() { close(load) }), sync.OnceFunc(func() { close(questions) })
	var acting, asking sync.WaitGroup
	var actors []*killActor
	for i := range killActors {
		a := &killActor{killing: k, number: i, random: rand.New(rand.NewPCG(k.random.Uint64(), k.random.Uint64()))}
		actors = append(actors, a)
		acting.Go(func() { a.run(load) })
	}
	random := rand.New(rand.NewPCG(k.random.Uint64(), 0))
	asking.Go(func() { k.askAll(questions, random) })
	asking.Go(func() { k.watch(questions) })
	t.Cleanup(func() { // if it fails before its end
		stopLoad()
		stopQuestions()
		acting.Wait()
		asking.Wait()
		k.leaveAll()
		k.judging.Wait()
		k.listening.Wait()
	})

	for began := time.Now(); time.Since(began) < lasts || !k.complete(); {
		require.Less(t, time.Since(began), lasts+5*await.Limit, "something has never been done: %v", &k.count)
		k.round(soak)
	}
	stopLoad()
	acting.Wait()
	k.judging.Wait()
	require.Eventually(t, k.allGone, await.Limit, 20*time.Millisecond, "a node that has died is still known")
	k.lookAround(actors)
	stopQuestions()
	asking.Wait()
	k.endAll(actors)
	k.stopAll(soak)
	k.report(soak)
}

// round kills one node, or a few at once, and waits until the others notice.
func (k *killing) round(soak bool) {
	k.t.Helper()
	few, between := 1, 300*time.Millisecond
	if soak {
		between = 4 * time.Second
		if k.random.IntN(2) == 0 {
			few = 2 + k.random.IntN(4)
		}
	}
	for range few {
		slot := k.random.IntN(len(k.slots))
		k.proxies[slot].Delay(20 * time.Millisecond) // so that many operations are under way
		<-time.After(60 * time.Millisecond)
		d := k.kill(slot)
		k.proxies[slot].Delay(0)
		k.startNode(slot)
		k.pause(between)
		if !soak {
			k.endLease(d)
		}
	}
	require.Eventually(k.t, k.allGone, await.Limit, 20*time.Millisecond, "a node that has died is still known")
	<-time.After(between / 4) // without faults for a moment
	k.pause(between)
}

func (k *killing) pause(most time.Duration) {
	<-time.After(time.Duration(k.random.Int64N(int64(most))))
}

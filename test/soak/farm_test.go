package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// farm is several nodes, each a process, that share a server; each is connected to it through a
// proxy of its own.
type farm struct {
	t      *testing.T
	server farmServer
	nodes  []*farmNode
	direct *bridge.Bridge // to read the store without a cookie
	client *http.Client
	clock  atomic.Int64 // logical: each reading is a later moment
	fresh  atomic.Int64 // the last value that was written
	tally  farmTally
}

// farmTally counts the operations and their outcomes.
type farmTally struct {
	histories, sessions, events                              int
	operations, unknown, conflicts                           atomic.Int64
	over, logins                                             int
	kills, cuts, stalls, late, refusals, delays, silences    int
	lost, twice, revived, denied, notLinearizable, unchecked int
}

// farmNode is a process, for its parent.
type farmNode struct {
	proxy farmProxy
	cmd   *exec.Cmd
	in    io.Closer
	out   *json.Decoder
	addr  string
	stats bridge.Stats // when it has ended
	await func()       // its end
}

// startFarm starts a farm. The server may take timeout to answer a node; broken names the fault of the
// nodes' stores, if any.
func startFarm(t *testing.T, server farmServer, nodes int, timeout time.Duration, broken string) *farm {
	t.Helper()
	f := &farm{t: t, server: server}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	f.client = &http.Client{Transport: transport, Timeout: await.Limit}
	var proxies []farmProxy
	for range nodes {
		proxies = append(proxies, server.Proxy())
	}
	t.Cleanup(f.stop)
	for _, proxy := range proxies {
		f.nodes = append(f.nodes, startFarmNode(t, proxy, broken, timeout))
	}
	for _, n := range f.nodes {
		n.awaitAddr(t)
	}
	st, err := openFarmStore(t.Context(), server.URL(), 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	f.direct, err = bridge.New(st, farmOptions())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.direct.Shutdown(context.WithoutCancel(t.Context()))) })
	return f
}

func startFarmNode(t *testing.T, proxy farmProxy, broken string, timeout time.Duration) *farmNode {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^$") // it ends with its input
	// A data race fails the test even if the process is killed.
	cmd.Env = append(os.Environ(), farmVariable+"="+proxy.URL(), farmBroken+"="+broken, farmPatience+"="+timeout.String(), "GORACE=halt_on_error=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	n := &farmNode{proxy: proxy, cmd: cmd, in: in, out: json.NewDecoder(out)}
	n.await = sync.OnceFunc(func() { n.end(t) })
	return n
}

// stop ends the nodes, all at once, and waits until they are gone.
func (f *farm) stop() {
	f.t.Helper()
	f.client.CloseIdleConnections() // a node would wait 5 s for a connection that never had a request
	for _, n := range f.nodes {
		_ = n.in.Close()
	}
	for _, n := range f.nodes {
		n.await()
	}
}

// within runs do. After d it kills the process, which makes do fail.
func (n *farmNode) within(d time.Duration, do func() error) error {
	late := time.AfterFunc(d, func() { _ = n.cmd.Process.Kill() })
	defer late.Stop()
	return do()
}

func (n *farmNode) awaitAddr(t *testing.T) {
	t.Helper()
	require.NoError(t, n.within(await.Limit, func() error { return n.out.Decode(&n.addr) }), "the node doesn't start")
}

// end waits for the end of the process, which was told to end, and kills it in the last resort.
func (n *farmNode) end(t *testing.T) {
	t.Helper()
	err := n.within(2*await.Limit, func() error {
		stats := n.out.Decode(&n.stats)
		_, _ = io.Copy(io.Discard, n.out.Buffered())
		return errors.Join(stats, n.cmd.Wait())
	})
	if err != nil {
		t.Errorf("a node hasn't ended well: %v", err)
	}
}

func (f *farm) anyNode(random *rand.Rand) *farmNode { return f.nodes[random.IntN(len(f.nodes))] }

const farmPlaces = 2 // at each of which there is one session at a time

// farmHistory is one history of a farm, with sessions and actors of its own.
type farmHistory struct {
	*farm
	random *rand.Rand

	mu         sync.Mutex
	places     [farmPlaces]*farmSession
	sessions   []*farmSession // those that were there before, too
	unexpected []string       // unexpected answers
}

// at returns the session at the place, and the newest cookie that an actor has received.
func (h *farmHistory) at(place int) (*farmSession, farmCookie) {
	h.mu.Lock()
	s := h.places[place]
	h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.newest
}

// add adds a session, in place of old if that is still there.
func (h *farmHistory) add(place int, old, s *farmSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions = append(h.sessions, s)
	if h.places[place] == old {
		h.places[place] = s
	}
}

// live lets actors act concurrently until they are done, while disturb causes faults. disturb
// returns when done is closed.
func (h *farmHistory) live(actors, operations int, disturb func(done <-chan struct{})) {
	first := &farmActor{farmHistory: h, number: actors, random: h.random}
	for place := range farmPlaces {
		for late := time.Now().Add(await.Limit); h.places[place] == nil && time.Now().Before(late); {
			first.create(place, farmCookie{}) // repeated if the server didn't answer
		}
		require.NotNil(h.t, h.places[place], "no session to begin with")
	}
	var acting sync.WaitGroup
	for number := range actors {
		a := &farmActor{farmHistory: h, number: number, random: rand.New(rand.NewPCG(h.random.Uint64(), h.random.Uint64()))}
		acting.Go(func() { a.run(operations) })
	}
	done := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() { acting.Wait(); close(done) })
	disturb(done)
	waiting.Wait()
	h.settle()
	h.lookAtAll(first)
}

// ping reports whether a node reaches the server. An error means that the node doesn't answer.
func (f *farm) ping(n *farmNode) (reached bool, err error) {
	v, _, err := f.ask(n, "", url.Values{"do": {"ping"}})
	return v.Word == "ok", err
}

// settle waits until every node reaches the server again.
func (h *farmHistory) settle() {
	h.t.Helper()
	for _, n := range h.nodes {
		require.Eventually(h.t, func() bool {
			reached, err := h.ping(n)
			return err == nil && reached
		}, await.Limit, 5*time.Millisecond, "a node without its server")
	}
	require.Eventually(h.t, func() bool { return h.direct.Ping(h.t.Context()) == nil }, await.Limit, 5*time.Millisecond)
}

// lookAtAll reads each session with its newest cookie, at each node, and in the store.
func (h *farmHistory) lookAtAll(a *farmActor) {
	h.t.Helper()
	for _, s := range h.sessions {
		a.held[0] = farmHeld{session: s, cookie: s.newest}
		for _, n := range h.nodes {
			a.tally.operations.Add(1)
			a.overHTTP(0, n, "read")
		}
		from := h.clock.Add(1)
		stored, err := h.direct.GetByID(h.t.Context(), s.id)
		e := farmEvent{kind: farmGone}
		if !errors.Is(err, bridge.ErrSessionMissing) {
			require.NoError(h.t, err)
			e = farmEvent{kind: farmRead, values: farmViewOf(stored).farmValues}
		}
		s.record(a.number, from, h.clock.Add(1), e)
	}
}

// String returns one line with all counts.
func (t *farmTally) String() string {
	return fmt.Sprintf("%d histories, %d sessions, %d of them over; %d operations, of which %d with an unknown outcome and %d given up after conflicts; "+
		"%d events checked, %d logins; server killed %d times, %d connections cut, %d stalls (%d longer than a node waits), %d refusals, %d delays, %d times without pushes; "+
		"%d updates lost, %d done twice, %d resurrections, %d denied a new session, %d not linearizable, %d undecided",
		t.histories, t.sessions, t.over, t.operations.Load(), t.unknown.Load(), t.conflicts.Load(), t.events, t.logins,
		t.kills, t.cuts, t.stalls, t.late, t.refusals, t.delays, t.silences, t.lost, t.twice, t.revived, t.denied, t.notLinearizable, t.unchecked)
}

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
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// farm is several nodes, each a process, that share a Redis; each is connected to it through a
// proxy of its own.
type farm struct {
	t      *testing.T
	redis  *redistest.Server
	nodes  []*farmNode
	direct *bridge.Bridge // to look at what is stored, without a cookie
	client *http.Client
	clock  atomic.Int64 // logical: each reading of it is another moment
	fresh  atomic.Int64 // values that nobody has written before
	tally  farmTally
}

// farmTally counts what was done, and what befell it.
type farmTally struct {
	histories, sessions, events                           int
	operations, unknown, conflicts                        atomic.Int64
	over, logins                                          int
	kills, cuts, stalls, late, refusals, delays, silences int
	lost, twice, revived, notLinearizable, unchecked      int
}

// farmNode is a process, as its parent has it.
type farmNode struct {
	proxy *redistest.Proxy
	cmd   *exec.Cmd
	in    io.Closer
	out   *json.Decoder
	addr  string
	stats bridge.Stats // when it has ended
	await func()       // its end
}

// farmDurable is what Redis must be told, or it forgets what it has acknowledged.
var farmDurable = []string{"appendonly yes", "appendfsync always"}

// startFarm starts a farm, whose nodes' stores are broken in the way that is named, if any is.
func startFarm(t *testing.T, nodes int, broken string, config ...string) *farm {
	t.Helper()
	f := &farm{t: t, redis: redistest.Start(t, config...)}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	f.client = &http.Client{Transport: transport, Timeout: await.Limit}
	var proxies []*redistest.Proxy
	for range nodes {
		proxies = append(proxies, redistest.StartProxy(t, f.redis))
	}
	t.Cleanup(f.stop)
	for _, proxy := range proxies {
		f.nodes = append(f.nodes, startFarmNode(t, proxy, broken, farmTimeout))
	}
	for _, n := range f.nodes {
		n.awaitAddr(t)
	}
	st, err := redisstore.Open(t.Context(), f.redis.URL(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	f.direct, err = bridge.New(st, farmOptions())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.direct.Shutdown(context.WithoutCancel(t.Context()))) })
	return f
}

func startFarmNode(t *testing.T, proxy *redistest.Proxy, broken string, timeout time.Duration) *farmNode {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^$") // it ends with its input
	// Also one that is killed must not have raced.
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
	f.client.CloseIdleConnections() // one that never had a request would keep a node waiting 5 s
	for _, n := range f.nodes {
		_ = n.in.Close()
	}
	for _, n := range f.nodes {
		n.await()
	}
}

// within kills the process unless what is done is done in time: then it fails.
func (n *farmNode) within(d time.Duration, do func() error) error {
	late := time.AfterFunc(d, func() { _ = n.cmd.Process.Kill() })
	defer late.Stop()
	return do()
}

func (n *farmNode) awaitAddr(t *testing.T) {
	t.Helper()
	require.NoError(t, n.within(await.Limit, func() error { return n.out.Decode(&n.addr) }), "the node doesn't start")
}

// end waits until the process is gone, which has been told to end; at last it kills it.
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

// farmHistory is a while in a farm's life, with sessions and actors of its own.
type farmHistory struct {
	*farm
	random *rand.Rand

	mu         sync.Mutex
	places     [farmPlaces]*farmSession
	sessions   []*farmSession // those that were there before, too
	unexpected []string       // answers that nothing explains
}

// at returns the session that is at the place, and the newest cookie that somebody has received.
func (h *farmHistory) at(place int) (*farmSession, farmCookie) {
	h.mu.Lock()
	s := h.places[place]
	h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.newest
}

// add brings in a session, in place of an old one if that is still there.
func (h *farmHistory) add(place int, old, s *farmSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions = append(h.sessions, s)
	if h.places[place] == old {
		h.places[place] = s
	}
}

// live lets actors act, all at once, until they are done. What disturb does to the farm meanwhile
// is up to it; it returns when done is closed.
func (h *farmHistory) live(actors, operations int, disturb func(done <-chan struct{})) {
	first := &farmActor{farmHistory: h, number: actors, random: h.random}
	for place := range farmPlaces {
		for late := time.Now().Add(await.Limit); h.places[place] == nil && time.Now().Before(late); {
			first.create(place, farmCookie{}) // again if Redis had no time for an answer
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

// settle waits until every node has its Redis back.
func (h *farmHistory) settle() {
	h.t.Helper()
	for _, n := range h.nodes {
		require.Eventually(h.t, func() bool {
			v, _, err := h.ask(n, "", url.Values{"do": {"ping"}})
			return err == nil && v.Word == "ok"
		}, await.Limit, 5*time.Millisecond, "a node without Redis")
	}
	require.Eventually(h.t, func() bool { return h.direct.Ping(h.t.Context()) == nil }, await.Limit, 5*time.Millisecond)
}

// lookAtAll looks at each session with its newest cookie, at each node, and at what is stored.
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

// String is a line about it all.
func (t *farmTally) String() string {
	return fmt.Sprintf("%d histories, %d sessions, %d of them over; %d operations, of which %d with an unknown outcome and %d given up after conflicts; "+
		"%d events checked, %d logins; Redis killed %d times, %d connections cut, %d stalls (%d longer than a node waits), %d refusals, %d delays, %d times without pushes; "+
		"%d updates lost, %d done twice, %d resurrections, %d not linearizable, %d undecided",
		t.histories, t.sessions, t.over, t.operations.Load(), t.unknown.Load(), t.conflicts.Load(), t.events, t.logins,
		t.kills, t.cuts, t.stalls, t.late, t.refusals, t.delays, t.silences, t.lost, t.twice, t.revived, t.notLinearizable, t.unchecked)
}

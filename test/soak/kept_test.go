package soak_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

const (
	keptClients  = 4  // two have a session of their own, two share one
	keptSenders  = 3  // each at any node
	keptMessages = 40 // of each sender: fewer than are kept
)

// keptFarm is a farm whose nodes are killed.
type keptFarm struct {
	*farm
	random *rand.Rand // of the test's goroutine

	mu     sync.Mutex
	alive  []*farmNode     // by the place of their proxies; nil while one starts
	online map[string]bool // users, as the test's process has heard of them
	tally  keptTally
}

type keptTally struct{ sent, acknowledged, received, late, ready, kills, restarts, cuts, silences, logins, out int }

// TestG14_NothingMissedAtAReconnect_Soak: clients of one user, at three processes, lose their
// connections again and again and come back to another process, while processes and Redis are killed,
// connections are cut, and notifications are lost. In the end each has got every message that was
// acknowledged, for its user and its session, once, and all in the same order, in which those of one
// sender are in its own. A message that isn't acknowledged may come, also late. 3 histories; with SOAK
// set 100.
func TestG14_NothingMissedAtAReconnect_Soak(t *testing.T) {
	nothingMissed(t, onRedis(t, farmDurable...), 3)
}

// TestG14_NothingMissedOnPostgres_Soak is TestG14_NothingMissedAtAReconnect_Soak with PostgreSQL, with 1
// history.
func TestG14_NothingMissedOnPostgres_Soak(t *testing.T) { nothingMissed(t, onPostgres(t), 1) }

func nothingMissed(t *testing.T, server farmServer, histories int) {
	t.Helper()
	besideOthers(t)
	if os.Getenv("SOAK") != "" {
		histories = 100
	}
	seed := farmSeed(t)
	f := &keptFarm{farm: startFarm(t, server, farmNodes, await.Limit, "")}
	f.alive = slices.Clone(f.nodes)
	f.online = map[string]bool{}
	t.Cleanup(f.direct.OnPresence(func(e bridge.Presence) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if was, known := f.online[e.UserID]; known && was == e.Online {
			t.Errorf("%s is reported twice: %v", e.UserID, e.Online)
		}
		f.online[e.UserID] = e.Online
	}))
	for i := range histories {
		f.random = rand.New(rand.NewPCG(seed, uint64(i)))
		h := &keptHistory{keptFarm: f, user: fmt.Sprint("user", i)}
		h.run()
		h.judge(i)
		if i%10 == 0 {
			h.leave()
		}
	}
	t.Logf("%d histories: %+v; 0 lost, 0 twice, 0 out of order", histories, f.tally)
	require.Positive(t, f.tally.kills)
	require.Positive(t, f.tally.restarts)
	require.Greater(t, f.tally.acknowledged, f.tally.sent/3)
}

// node returns a node that is alive.
func (f *keptFarm) node(random *rand.Rand) *farmNode {
	for {
		f.mu.Lock()
		n := f.alive[random.IntN(len(f.alive))]
		f.mu.Unlock()
		if n != nil {
			return n
		}
	}
}

// kill kills a node and starts another one in its place.
func (f *keptFarm) kill() {
	slot := f.random.IntN(len(f.alive))
	n := f.alive[slot]
	f.mu.Lock()
	f.alive[slot] = nil
	f.mu.Unlock()
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	_ = n.in.Close()
	f.nodes = slices.DeleteFunc(f.nodes, func(other *farmNode) bool { return other == n })
	next := startFarmNode(f.t, n.proxy, "", await.Limit)
	f.nodes = append(f.nodes, next)
	next.awaitAddr(f.t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alive[slot] = next
}

// keptHistory is one history: clients of one user.
type keptHistory struct {
	*keptFarm
	user    string
	clients []*keptClient

	mu   sync.Mutex
	sent map[string]bool // messages by their texts, "log sender number": whether they were acknowledged
}

// keptClient is a client with its place.
type keptClient struct {
	h      *keptHistory
	random *rand.Rand
	id     string // of its session
	out    bool   // it has lost its session, and isn't judged
	login  func() // logs in again

	mu       sync.Mutex
	cookies  string
	position string
	got      []string
	faults   []string // what it should not have seen
	ready    int
}

func (h *keptHistory) run() {
	t := h.t
	h.sent = map[string]bool{}
	first := h.newClient("")
	h.clients = []*keptClient{first, h.newClient(""), h.newClient(""), h.newClient(first.cookies)}
	h.clients[3].id = first.id
	for _, c := range h.clients {
		require.Eventually(t, func() bool { return c.visit(true) }, await.Limit, time.Millisecond, "the first connection")
	}
	var clients, senders sync.WaitGroup
	stop := make(chan struct{})
	for _, c := range h.clients {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					c.visit(false)
					<-time.After(time.Duration(c.random.IntN(40)) * time.Millisecond)
				}
			}
		})
	}
	for number := range keptSenders {
		random := rand.New(rand.NewPCG(h.random.Uint64(), uint64(number)))
		senders.Go(func() { h.send(number, random) })
	}
	done := make(chan struct{})
	go func() {
		senders.Wait()
		close(done)
	}()
	h.disturb(done)
	close(stop)
	clients.Wait()
	h.settle()
	for _, c := range h.clients {
		require.Eventually(t, func() bool { return c.visit(true) }, await.Limit, 10*time.Millisecond, "the last connection")
	}
}

// leave checks that the user is online while a connection is open, and offline then.
func (h *keptHistory) leave() {
	t, c := h.t, h.clients[0]
	var seen string
	is := func(online bool) func() bool {
		return func() bool {
			h.keptFarm.mu.Lock()
			known, ever := h.online[h.user]
			h.keptFarm.mu.Unlock()
			all, err := h.direct.Online(t.Context(), h.user)
			seen = fmt.Sprintf("reported: %v (ever: %v), asked: %v, %v", known, ever, all, err)
			asked := err == nil || errors.Is(err, bridge.ErrNodeSilent) // of a node that was killed
			return asked && known == online && (len(all) == 1) == online
		}
	}
	defer func() {
		if t.Failed() {
			t.Logf("%s was last seen %s", h.user, seen)
		}
	}()
	began := time.Now()
	leave := h.stay(h.node(h.random), c.cookies)
	require.Eventually(t, is(true), await.Limit, 10*time.Millisecond, "%s is online", h.user)
	came := time.Since(began)
	leave()
	began = time.Now()
	require.Eventually(t, is(false), await.Limit, 10*time.Millisecond, "%s is offline", h.user)
	t.Logf("%s was online after %v, offline after %v", h.user, came, time.Since(began))
}

// stay keeps a connection to the node open, as a client does that comes back when it is closed, until
// leave is called.
func (h *keptHistory) stay(at *farmNode, cookies string) (leave func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			ws, _, err := websocket.Dial(ctx, "ws://"+at.addr+"/socket", &websocket.DialOptions{
				HTTPHeader: http.Header{"Cookie": {cookies}},
			})
			for err == nil {
				_, _, err = ws.Read(ctx)
			}
			if ws != nil {
				_ = ws.CloseNow()
			}
			if ctx.Err() == nil {
				h.t.Logf("%s comes back after %v", h.user, err)
				<-time.After(10 * time.Millisecond)
			}
		}
	})
	return func() {
		cancel()
		all.Wait()
	}
}

// settle waits until every node reaches the store.
func (h *keptHistory) settle() {
	h.t.Helper()
	(&farmHistory{farm: h.farm}).settle()
}

// disturb causes faults until done is closed: each kind once, and then those that last shortly.
func (h *keptHistory) disturb(done <-chan struct{}) {
	proxy := func() *farmNode { return h.nodes[h.random.IntN(len(h.nodes))] }
	faults := []func(){
		func() {
			h.tally.kills++
			h.kill()
		},
		func() {
			h.tally.restarts++
			h.server.Kill()
			<-time.After(time.Duration(h.random.IntN(200)) * time.Millisecond)
			h.server.Restart()
		},
	}
	brief := []func(){
		func() { h.tally.cuts += proxy().proxy.Cut() },
		func() {
			h.tally.silences++
			p := proxy().proxy
			p.DropPushes()
			<-time.After(time.Duration(h.random.IntN(300)) * time.Millisecond)
			p.PassPushes()
		},
		func() {
			h.tally.logins++
			h.clients[1].login()
		},
	}
	for next := append(faults, brief...); ; next = brief {
		h.random.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		for _, fault := range next {
			<-time.After(time.Duration(h.random.IntN(200)) * time.Millisecond)
			fault()
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// send sends messages to the user and to the sessions, one after the other. After half of those that
// fail it waits for the store, which may be away for longer than it takes to send them all.
func (h *keptHistory) send(number int, random *rand.Rand) {
	for i := range keptMessages {
		do, of := "keep user", h.user
		if random.IntN(2) == 0 {
			do, of = "keep session", h.clients[random.IntN(len(h.clients))].id
		}
		text := fmt.Sprintf("%s %d %d", of, number, i)
		n := h.node(random)
		v, _, err := h.ask(n, "", url.Values{"do": {do}, "of": {of}, "text": {text}})
		acknowledged := err == nil && (v.Word == "ok" || v.Word == "silent") // a silent node: it is kept
		h.mu.Lock()
		h.sent[text] = acknowledged
		h.mu.Unlock()
		if !acknowledged && random.IntN(2) == 0 {
			h.awaitStore(n)
		}
		<-time.After(time.Duration(random.IntN(80)) * time.Millisecond)
	}
}

// awaitStore waits until the node reaches the store, or has been killed.
func (h *keptHistory) awaitStore(n *farmNode) {
	for late := time.Now().Add(await.Limit); time.Now().Before(late); <-time.After(5 * time.Millisecond) {
		if reached, err := h.ping(n); reached || err != nil {
			return
		}
	}
}

// newClient returns a client of the user, with a session of its own or the one of the cookies.
func (h *keptHistory) newClient(cookies string) *keptClient {
	c := &keptClient{h: h, random: rand.New(rand.NewPCG(h.random.Uint64(), 0)), cookies: cookies}
	any := rand.New(rand.NewPCG(h.random.Uint64(), 1)) // of the goroutine that logs in
	c.login = func() {
		h.settle()
		require.Eventually(h.t, func() bool {
			c.mu.Lock()
			cookies := c.cookies
			c.mu.Unlock()
			v, res, err := h.ask(h.node(any), cookies, url.Values{"do": {"login"}, "user": {h.user}})
			if err == nil && v.Word == "ok" {
				c.remember(res)
			}
			// Two answers that are lost in a row cost a browser its session: docs/cookies.md.
			c.out = err == nil && (v.Word == "missing" || v.Word == "rotated")
			return err == nil && v.Word == "ok" || c.out
		}, await.Limit, 5*time.Millisecond, "login")
	}
	if cookies != "" {
		return c
	}
	require.Eventually(h.t, func() bool {
		v, res, err := h.ask(h.node(c.random), "", url.Values{"do": {"create"}})
		if err == nil && v.Word == "ok" {
			c.id = v.ID
			c.remember(res)
		}
		return err == nil && v.Word == "ok"
	}, await.Limit, 5*time.Millisecond, "a session")
	c.login()
	return c
}

// remember takes the cookies of a response.
func (c *keptClient) remember(res *http.Response) {
	jar := map[string]string{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for pair := range strings.SplitSeq(c.cookies, "; ") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			jar[name] = value
		}
	}
	for _, cookie := range res.Cookies() {
		jar[cookie.Name] = cookie.Value
	}
	var all []string
	for name, value := range jar {
		all = append(all, name+"="+value)
	}
	c.cookies = strings.Join(all, "; ")
}

// visit opens a connection and reads for a while; with whole, until the client has what it has missed.
// It returns whether that has come.
func (c *keptClient) visit(whole bool) (ready bool) {
	ctx, cancel := context.WithTimeout(c.h.t.Context(), await.Limit)
	defer cancel()
	if !whole {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.random.IntN(150))*time.Millisecond)
		defer cancel()
	}
	c.mu.Lock()
	offer, cookies := bridge.KeptProtocol, c.cookies
	if c.position != "" {
		offer += "." + c.position
	}
	c.mu.Unlock()
	ws, _, err := websocket.Dial(ctx, "ws://"+c.h.node(c.random).addr+"/socket", &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {cookies}}, Subprotocols: []string{bridge.Subprotocol, offer},
	})
	if err != nil {
		return false
	}
	defer func() { _ = ws.CloseNow() }()
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return false
		}
		frame, is := strings.CutPrefix(string(data), "\x1e")
		if !is {
			continue
		}
		if c.take(frame) && whole {
			return true
		}
	}
}

// take takes a frame, as docs/sockets.md says. It returns true for the one that says ready.
func (c *keptClient) take(frame string) (ready bool) {
	header, text, _ := strings.Cut(frame, "\n")
	position, kind, _ := strings.Cut(header, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch kind {
	case "ready":
		ready = true
		c.ready++
	case "gone":
		c.faults = append(c.faults, fmt.Sprintf("gone, after %d messages", len(c.got)))
	default:
		c.got = append(c.got, text)
	}
	c.position = position
	return ready
}

// judge compares what each client has got with what was sent.
func (h *keptHistory) judge(number int) {
	t := h.t
	tally := &h.tally
	orders := map[string][]string{}
	for i, c := range h.clients {
		if c.out {
			tally.out++
			continue
		}
		tally.received += len(c.got)
		session, err := h.direct.GetByID(t.Context(), c.id)
		require.NoError(t, err)
		require.Equal(t, h.user, session.UserID(), "history %d, client %d: the user of the session", number, i)
		tally.ready += c.ready
		for _, fault := range c.faults {
			t.Errorf("history %d, client %d: %s", number, i, fault)
		}
		for _, log := range []string{h.user, c.id} {
			var got []string
			last := map[string]int{}
			seen := map[string]bool{}
			for _, text := range c.got {
				rest, is := strings.CutPrefix(text, log+" ")
				if !is {
					continue
				}
				got = append(got, text)
				sender, n := "", 0
				_, err := fmt.Sscanf(rest, "%s %d", &sender, &n)
				require.NoError(t, err)
				switch before, known := last[sender]; {
				case seen[text]:
					t.Errorf("history %d, client %d: %q comes twice", number, i, text)
				case known && n < before && h.sent[text]:
					t.Errorf("history %d, client %d: %q comes after %d", number, i, text, before)
				case known && n < before: // it was on its way when its sender got an error, and went on to the next
					tally.late++
				}
				seen[text], last[sender] = true, n
			}
			for text, acknowledged := range h.sent {
				if acknowledged && strings.HasPrefix(text, log+" ") && !slices.Contains(got, text) {
					t.Errorf("history %d, client %d: %q is lost", number, i, text)
				}
			}
			if order, known := orders[log]; known {
				require.Equal(t, order, got, "history %d, client %d: the order is another one", number, i)
			}
			orders[log] = got
		}
		for _, text := range c.got {
			require.True(t, strings.HasPrefix(text, h.user+" ") || strings.HasPrefix(text, c.id+" "), "for somebody else: %q", text)
		}
	}
	for _, acknowledged := range h.sent {
		tally.sent++
		if acknowledged {
			tally.acknowledged++
		}
	}
}

package soak_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// crowdSize has the size of a crowd, and its times.
type crowdSize struct {
	sockets          int
	lasts            time.Duration
	soonest, latest  time.Duration // between two acts of a party
	every            time.Duration // a message of an active client
	notes            time.Duration // between notes to all
	requests         time.Duration // between requests beside the sockets
	idle, keep       time.Duration // idle timeouts: of silent sessions, of sessions kept alive by messages
	heartbeat        time.Duration
	measures, report time.Duration
	settles          time.Duration // limit of settle
}

func shortCrowd() crowdSize {
	return crowdSize{
		sockets: 200, lasts: 1600 * time.Millisecond, soonest: 100 * time.Millisecond, latest: 800 * time.Millisecond,
		every: 300 * time.Millisecond, notes: 200 * time.Millisecond, requests: 20 * time.Millisecond,
		idle: 1200 * time.Millisecond, keep: 20 * time.Second, heartbeat: time.Second, measures: time.Second, report: time.Hour,
		settles: await.Limit,
	}
}

// longCrowd leaves two processors time to spare with the race detector, too: otherwise all ends are late, by as much as the
// machine is behind.
func longCrowd() crowdSize {
	return crowdSize{
		sockets: 10_000, lasts: 4 * time.Minute, soonest: 5 * time.Second, latest: 4 * time.Minute,
		every: 12 * time.Second, notes: 15 * time.Second, requests: 50 * time.Millisecond,
		idle: time.Minute, keep: 90 * time.Second, heartbeat: 10 * time.Second, measures: 30 * time.Second, report: 10 * time.Second,
		settles: 5 * time.Minute,
	}
}

// crowd is the server's side, and checks the results. Its lock is the innermost of the test.
type crowd struct {
	t       *testing.T
	size    crowdSize
	start   time.Time
	app     *endtoend.App
	store   *livestore.Store
	child   *clientProcess
	jobs    chan func()
	stop    func()        // ends the test early, after a failure
	opening chan struct{} // a slot for each handshake that is under way
	stopped chan struct{}

	mu       sync.Mutex
	random   *rand.Rand
	guests   map[int]*guest
	guestIDs int
	visits   map[string]*visitor
	parties  []*party // those that stay are the first ones
	staying  int
	live     int
	acting   int // acts that have begun
	going    int // guests that these acts end, and that are still there
	paused   bool
	held     []*party // until resume
	closing  bool
	notes    int         // notes whose sending has begun
	sentAt   []time.Time // when each of those was sent, once it was
	hurried  int         // sockets that were closed after a second without all notes
	cutShort int         // sockets that were cut after a second without a close frame
	taken    int         // the sum of what Notify returned
	events   struct{ opened, closed int }
	ends     map[int]int // by code
	total    tally
	late     time.Duration // the largest delay of an expiry
	tooLate  time.Duration // the largest delay beyond the second that an expiry may take
	latest   string        // which guest that was
	slowest  time.Duration // the longest time from the request of a close to the client
	lag      time.Duration // the largest delay of a timer of the test
	problems []string
}

// TestSoakCrowd: sockets of every fate come, send messages and end. Each ends on time, with the
// right code at both ends; each message and each note arrives, no increment is lost, and the
// process's memory and goroutines don't grow. 200 sockets for a few seconds; with SOAK set 10,000
// for four minutes.
func TestSoakCrowd(t *testing.T) {
	size := shortCrowd()
	if os.Getenv("SOAK") != "" {
		size = longCrowd()
	}
	before := goleak.IgnoreCurrent()
	c := newCrowd(t, size)
	c.run()
	c.end()
	require.Empty(t, c.problems)
	goleak.VerifyNone(t, before)
}

func newCrowd(t *testing.T, size crowdSize) *crowd {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CROWD_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "CROWD_SEED")
	}
	t.Logf("CROWD_SEED=%d repeats when what is done, but for the clients' messages", seed)
	c := &crowd{
		t: t, size: size, start: time.Now(), store: livestore.New(), random: rand.New(rand.NewPCG(seed, 0)),
		guests: make(map[int]*guest), visits: make(map[string]*visitor), ends: make(map[int]int),
		opening: make(chan struct{}, 16), stopped: make(chan struct{}), jobs: make(chan func(), 2*size.sockets),
	}
	c.stop = sync.OnceFunc(func() { close(c.stopped) })
	c.app = endtoend.Build(t, c.store, &bridge.Options{Keys: [][]byte{endtoend.NewKey()}, MaxSessionsPerUser: mostSessions})
	c.route()
	c.app.Server.Start()
	return c
}

// run brings the crowd in, lets it act for a while, and shuts the server down.
func (c *crowd) run() {
	events := c.app.Bridge.Subscribe(context.WithoutCancel(c.t.Context()), 1<<16) // more than can wait: none is dropped
	var following, working, living sync.WaitGroup
	following.Go(func() { c.follow(events) })
	child, stopClients := startCrowd(c.t, c.app.Server.Listener.Addr().String(), c.hear)
	c.child = child
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	for range 8 {
		working.Go(func() { c.work(ctx) })
	}
	working.Go(func() { c.watchTimers(ctx) })
	working.Go(func() { every(ctx, c.size.report, c.progress) })
	c.pause() // until all are there, guests end only by expiry
	c.gather()
	c.settle(nil)
	c.resume()
	c.t.Logf("%d sockets of %d parties after %v", c.size.sockets, len(c.parties), time.Since(c.start))

	lives, leave := context.WithCancel(ctx)
	defer leave()
	living.Go(func() { every(lives, c.size.notes, c.note) })
	living.Go(func() { every(lives, c.size.requests, c.request) })
	c.watch()
	c.pause()
	c.settle(c.close)
	leave()
	living.Wait()

	c.shutDown()
	following.Wait()
	if !eventually(func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.guests) == 0 }, await.Limit) {
		c.fail("%d sockets haven't ended for both sides", len(c.guests))
	}
	cancel()
	working.Wait()
	stopClients()
	c.progress()
}

// gather brings every party in.
func (c *crowd) gather() {
	for _, f := range c.fates() {
		for range max(1, c.size.sockets*f.share/100/(f.sessions+f.tabs)) {
			c.parties = append(c.parties, &party{number: len(c.parties), fate: f, active: f.busy || !f.quiet && len(c.parties)%2 == 0})
		}
	}
	c.staying = slices.IndexFunc(c.parties, func(p *party) bool { return p.fate.name != "stay" })
	c.size.sockets = 0
	for _, p := range c.parties {
		c.size.sockets += p.fate.sessions + p.fate.tabs
	}
	for _, i := range c.random.Perm(len(c.parties)) {
		c.jobs <- func() { c.begin(c.parties[i]) }
	}
}

// work runs the acts of parties.
func (c *crowd) work(ctx context.Context) {
	for {
		select {
		case job := <-c.jobs:
			job()
		case <-ctx.Done():
			return
		}
	}
}

// watch measures from time to time: with the same number of sockets the process uses as much at the
// end as at the beginning.
func (c *crowd) watch() {
	const slack = 4 << 20 // bytes, independent of the number of sockets
	first := c.measure()
	c.t.Logf("%3d s: %v", c.seconds(), first)
	last := first
	for end := time.Now().Add(c.size.lasts); time.Now().Before(end); {
		select {
		case <-time.After(min(c.size.measures, time.Until(end))):
			last = c.measure()
			c.t.Logf("%3d s: %v", c.seconds(), last)
		case <-c.stopped:
			return
		}
	}
	if last.heap > first.heap+first.heap/10+slack {
		c.fail("the heap has grown: from %v to %v", first, last)
	}
}

// close is called when the shutdown begins, or is about to: guests that end are no longer replaced.
// The lock is held.
func (c *crowd) close() {
	if c.closing {
		return
	}
	c.closing = true
	for _, g := range c.guests {
		c.expect(g, bridge.CodeShutdown)
		if !g.notBefore.IsZero() && g.notBefore.Before(g.ends) { // it may be ending already
			g.to, g.ends = c.notesUntil(g.notBefore), g.notBefore
		}
		g.notAfter = time.Time{}
	}
}

// shutDown ends the server as a program does. Every socket is closed with 1012, and the store has
// the expected counts.
func (c *crowd) shutDown() {
	c.mu.Lock()
	c.close() // if it has never settled
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), time.Minute)
	defer cancel()
	c.app.Server.Client().CloseIdleConnections()
	if err := errors.Join(c.app.Server.Config.Shutdown(ctx), c.app.Bridge.Shutdown(ctx)); err != nil {
		c.fail("shutdown: %v", err)
	}
}

// end checks the final state.
func (c *crowd) end() {
	s := c.app.Bridge.Stats()
	require.Zero(c.t, s.Conns)
	require.Zero(c.t, s.NotifyDropped)
	require.Zero(c.t, s.EventsDropped)
	require.Zero(c.t, s.StoreErrors)
	require.Zero(c.t, s.FailedCommits)
	if c.tooLate > c.lag+2*c.slowest { // a timer, a read of the session and a close may be as late on a busy machine
		c.fail("%s ended %v late; timers here are %v late, and a close takes %v", c.latest, c.tooLate, c.lag, c.slowest)
	}
	require.Equal(c.t, c.total.sockets, c.events.opened)
	require.Equal(c.t, c.events.opened, c.events.closed)
	require.LessOrEqual(c.t, c.total.notes, c.taken)
	left, lost := c.stored(), c.taken-c.total.notes
	c.t.Logf("%d notes for %d sockets, %d of them to sockets that were on their way out, %d of which took longer than a second to close; "+
		"%d sockets cut after a second; %d sessions left",
		c.notes, c.taken, lost, c.hurried, c.cutShort, len(left))
	for id, v := range c.visits {
		c.count(v)
		n, there := left[id]
		delete(left, id)
		switch {
		case v.ended != "" && there:
			c.fail("a session has ended by %q, and is stored", v.ended)
		case v.ended != "" || v.over != "" && !there: // expired since the last check
		case !there || n != v.stored:
			c.fail("a session has %d stored, of %d", n, v.stored)
		}
	}
	require.Empty(c.t, left, "sessions without a visitor")
	if len(c.problems) == 0 {
		require.ElementsMatch(c.t, []int{
			-1, 1000, bridge.CodeShutdown, bridge.CodeReconnect, bridge.CodeIdle, codeOwn,
			bridge.CodeDestroyed, bridge.CodeExpired, bridge.CodeNoSession, bridge.CodeEvicted,
		}, slices.Collect(maps.Keys(c.ends)), "it was about all of these")
	}
}

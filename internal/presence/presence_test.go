package presence_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/presence"
)

const grace = 5 * time.Second

// farm is several nodes that hear each other.
type farm struct {
	t     *testing.T
	nodes []*node
	polls int
	sent  int // items of answers
	mu    sync.Mutex
}

// node is a Tracker with the connections of its process.
type node struct {
	*presence.Tracker
	f     *farm
	mu    sync.Mutex // that of a registry
	users map[string]int
	since map[string]time.Time
	dead  bool          // it answers nothing
	deaf  bool          // it hears no hints
	slow  time.Duration // how long its polls are on their way

	state  map[string]bool // what was reported
	events []string
}

func newFarm(t *testing.T, n int) *farm {
	f := &farm{t: t}
	c := clock.New()
	t.Cleanup(c.Close)
	for range n {
		one := &node{f: f, users: map[string]int{}, since: map[string]time.Time{}, state: map[string]bool{}}
		one.Tracker = presence.New(presence.Config{
			Grace: grace, Clock: c, Go: func(task func()) { go task() },
			Users: func(record func(presence.Users)) {
				one.mu.Lock()
				defer one.mu.Unlock()
				record(func(yield func(string, time.Time)) {
					for user := range one.users {
						yield(user, one.since[user])
					}
				})
			},
			Poll: one.poll, Hint: one.hint,
			Emit: func(user string, online bool) {
				f.mu.Lock()
				defer f.mu.Unlock()
				if was, known := one.state[user]; known && was == online {
					t.Errorf("%s is reported twice: %v", user, online)
				}
				one.state[user] = online
				one.events = append(one.events, fmt.Sprint(user, " ", online))
			},
			Failed: func(err error) { t.Errorf("failed: %v", err) },
		})
		f.nodes = append(f.nodes, one)
	}
	return f
}

func (n *node) isDead() bool {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	return n.dead
}

func (n *node) set(dead, deaf bool) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	n.dead, n.deaf = dead, deaf
}

func (n *node) poll(_ context.Context, since presence.Since, each func(string, presence.Item)) error {
	n.f.mu.Lock()
	n.f.polls++
	n.f.mu.Unlock()
	time.Sleep(n.slow)
	silent := false
	for i, other := range n.f.nodes {
		if other == n {
			continue
		}
		if other.isDead() || n.isDead() {
			silent = true
			continue
		}
		items := other.Answer(since)
		n.f.mu.Lock()
		n.f.sent += len(items)
		n.f.mu.Unlock()
		for _, item := range items {
			each(fmt.Sprint(i), item)
		}
	}
	if silent {
		time.Sleep(2 * time.Second) // it waits for them
	}
	return nil
}

func (n *node) hint(context.Context) error {
	for _, other := range n.f.nodes {
		n.f.mu.Lock()
		hears := other != n && !other.dead && !n.dead && !other.deaf
		n.f.mu.Unlock()
		if hears {
			other.Hint()
		}
	}
	return nil
}

// online returns the users who are online, as was reported.
func (n *node) online() []string {
	synctest.Wait()
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	got := maps.Clone(n.state)
	maps.DeleteFunc(got, func(_ string, online bool) bool { return !online })
	return slices.Sorted(maps.Keys(got))
}

// traffic returns how many polls there were, and items of answers.
func (f *farm) traffic() (polls, sent int) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.polls, f.sent
}

// connect opens a connection of the user, or closes one.
func (n *node) connect(user string, open bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.users[user]
	switch {
	case open:
		n.users[user]++
	case before > 1:
		n.users[user]--
	default:
		delete(n.users, user)
	}
	if after := n.users[user]; (before == 0) != (after == 0) {
		n.since[user] = time.Now()
		n.Changed(user, open)
	}
}

// heard returns what was reported since the last call.
func (n *node) heard() []string {
	synctest.Wait()
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	events := append([]string{}, n.events...)
	n.events = nil
	return events
}

func test(t *testing.T, nodes int, run func(f *farm)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		run(newFarm(t, nodes))
		time.Sleep(5 * time.Second) // polls under way end
	})
}

func TestAUserIsReportedOnceOnEveryNode(t *testing.T) {
	test(t, 3, func(f *farm) {
		a, b, c := f.nodes[0], f.nodes[1], f.nodes[2]
		c.connect("before", true)
		time.Sleep(time.Second)
		for _, n := range f.nodes {
			defer n.Observe()()
		}
		time.Sleep(time.Second)
		a.connect("ann", true)
		b.connect("ann", true)
		time.Sleep(time.Second)
		for _, n := range f.nodes {
			require.Equal(t, []string{"ann true"}, n.heard())
		}
		a.connect("ann", false) // she is still connected to b
		time.Sleep(time.Minute)
		b.connect("ann", false)
		time.Sleep(grace - time.Second)
		c.connect("ann", true) // a reload is no flicker
		time.Sleep(time.Minute)
		require.Empty(t, a.heard())
		c.connect("ann", false)
		c.connect("before", false)
		time.Sleep(grace + time.Second)
		for _, n := range f.nodes {
			require.ElementsMatch(t, []string{"ann false", "before false"}, n.heard())
		}
	})
}

// TestAUserWhoComesDuringTheFirstPollIsReported: who is online already is not reported, but who comes
// once Observe has returned is, also if the first answers don't come for a while.
func TestAUserWhoComesDuringTheFirstPollIsReported(t *testing.T) {
	for _, observed := range []bool{false, true} { // by another node, so that nodes record their users already
		test(t, 3, func(f *farm) {
			a, b, c := f.nodes[0], f.nodes[1], f.nodes[2]
			if observed {
				defer c.Observe()()
			}
			a.connect("here", true)
			b.connect("there", true)
			b.connect("often", true)
			time.Sleep(time.Second)
			a.slow = 1500 * time.Millisecond
			defer a.Observe()()
			require.Empty(t, a.heard())
			time.Sleep(time.Second)
			a.connect("ann", true)
			b.connect("bob", true)
			b.connect("carol", true)
			c.connect("carol", true)
			a.connect("often", true)
			b.connect("gone", true)
			b.connect("gone", false)
			time.Sleep(time.Minute)
			require.ElementsMatch(t, []string{"ann true", "bob true", "carol true"}, a.heard())
		})
	}
}

// While no node observes, nothing is sent, and nothing is left of what was.
func TestWithoutAnObserverItCostsNothing(t *testing.T) {
	test(t, 2, func(f *farm) {
		a, b := f.nodes[0], f.nodes[1]
		a.connect("ann", true)
		time.Sleep(time.Hour)
		polls, _ := f.traffic()
		require.Zero(t, polls)
		off := b.Observe()
		second := b.Observe()
		off()
		off()
		time.Sleep(time.Minute)
		polls, sent := f.traffic()
		require.InDelta(t, 30, polls, 3)
		require.Less(t, sent, 2*polls, "what is known isn't sent again")
		a.connect("bob", true)
		time.Sleep(time.Second)
		require.Equal(t, []string{"bob true"}, b.heard())
		second()
		time.Sleep(time.Minute)
		polls, _ = f.traffic()
		a.connect("bob", false)
		time.Sleep(time.Hour)
		later, _ := f.traffic()
		require.Equal(t, polls, later)
		require.Empty(t, b.heard())
		defer b.Observe()()
		b.connect("cat", true) // while it asks the others for the first time
		time.Sleep(time.Second)
		require.Equal(t, []string{"cat true"}, b.heard())
	})
}

// Lost hints are made up for by the polls, and the users of a node that dies are offline within 15 s.
func TestItIsRightInTheEnd(t *testing.T) {
	test(t, 2, func(f *farm) {
		a, b := f.nodes[0], f.nodes[1]
		defer b.Observe()()
		time.Sleep(time.Second)
		b.set(false, true)
		a.connect("ann", true)
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"ann true"}, b.heard())
		a.set(true, false)
		time.Sleep(15 * time.Second)
		require.Equal(t, []string{"ann false"}, b.heard())
		a.set(false, false) // it was cut off only
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"ann true"}, b.heard())
	})
}

// Only polls in a row that a node hasn't answered make its users offline.
func TestAnAnswerMakesUpForSilence(t *testing.T) {
	test(t, 2, func(f *farm) {
		a, b := f.nodes[0], f.nodes[1]
		defer b.Observe()()
		time.Sleep(time.Second)
		a.connect("ann", true)
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"ann true"}, b.heard())
		for range 5 {
			a.set(true, false)
			polls, _ := f.traffic()
			for missed := polls; missed == polls; missed, _ = f.traffic() {
				time.Sleep(100 * time.Millisecond)
			}
			a.set(false, false)
			time.Sleep(10 * time.Second)
		}
		require.Empty(t, b.heard())
	})
}

// A node that others poll often polls no less often itself.
func TestPollsOfOthersDoNotDelayTheOwn(t *testing.T) {
	test(t, 2, func(f *farm) {
		defer f.nodes[0].Observe()()
		time.Sleep(time.Second)
		before, _ := f.traffic()
		for range 100 {
			f.nodes[0].Answer(nil)
			time.Sleep(200 * time.Millisecond)
		}
		after, _ := f.traffic()
		require.InDelta(t, 10, after-before, 2)
	})
}

// More changes than a node remembers.
func TestManyUsers(t *testing.T) {
	test(t, 2, func(f *farm) {
		a, b := f.nodes[0], f.nodes[1]
		defer b.Observe()()
		b.set(false, true)
		time.Sleep(time.Second)
		const many = 5000
		for i := range many {
			a.connect(fmt.Sprint(i), true)
		}
		for i := range many / 2 {
			a.connect(fmt.Sprint(i), false)
		}
		time.Sleep(20 * time.Second)
		require.Len(t, b.online(), many/2)
	})
}

// TestRandomHistories: whatever hints are lost and whatever nodes are silent for a while, each node's
// reports are right after 15 s of quiet, and none comes twice.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(100) {
		test(t, 3, func(f *farm) {
			random := rand.New(rand.NewPCG(seed, 2))
			open := map[string]int{} // connections, by "user node"
			for _, n := range f.nodes {
				defer n.Observe()()
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
			}
			for range 100 {
				n, user := random.IntN(3), fmt.Sprint("user", random.IntN(5))
				switch key := fmt.Sprint(user, n); random.IntN(8) {
				case 0:
					f.nodes[n].set(random.IntN(2) == 0, random.IntN(2) == 0)
				case 1:
					time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
				case 2, 3, 4:
					f.nodes[n].connect(user, true)
					open[key]++
				default:
					if open[key] > 0 {
						f.nodes[n].connect(user, false)
						open[key]--
					}
				}
			}
			for _, n := range f.nodes {
				n.set(false, false)
			}
			time.Sleep(15 * time.Second)
			synctest.Wait()
			want := map[string]bool{}
			for _, n := range f.nodes {
				for user := range n.users {
					want[user] = true
				}
			}
			for _, n := range f.nodes {
				require.Equal(f.t, slices.Sorted(maps.Keys(want)), n.online(), "seed %d", seed)
			}
		})
	}
}

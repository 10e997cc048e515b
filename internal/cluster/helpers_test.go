package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

var errDown = errors.New("the network is down")

const storeTimeout = 5 * time.Second

// hang is a call that the store doesn't answer.
func hang(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }

// bus is a store in memory that carries messages and announcements between its nodes, and nothing
// else.
type bus struct {
	mu    sync.Mutex
	nodes []*busNode
}

// busNode is a node of a bus.
type busNode struct {
	store.Node // nil: the methods below are all that the package calls
	bus        *bus
	name       string
	changes    chan store.Change
	done       chan struct{}

	// Guarded by bus.mu.
	held            map[cluster.Topic]bool
	holds, releases int // calls
	left            bool
	leaveErr        error
	lose            func(data []byte) bool // whether a message to the node is lost; may be nil

	// For how long no part of the store has replied, a part of it has not, and the node has not
	// heard itself.
	silent, partSilent, deaf time.Duration

	// Called before the call has an effect; may be nil.
	onHold, onRelease, onSend, onAnnounce func(context.Context) error
}

// Watch implements store.Watcher.
func (b *bus) Watch(onChange func(store.Change)) store.Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &busNode{
		bus: b, name: fmt.Sprintf("node%d", len(b.nodes)),
		changes: make(chan store.Change, 100_000), done: make(chan struct{}), held: make(map[cluster.Topic]bool),
	}
	b.nodes = append(b.nodes, n)
	go func() { // ends with Leave
		defer close(n.done)
		for ch := range n.changes {
			onChange(ch)
		}
	}()
	return n
}

// change changes the node.
func (n *busNode) change(fn func(n *busNode)) {
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	fn(n)
}

// call is what all calls of the store have in common.
func (n *busNode) call(ctx context.Context, hook func(n *busNode) func(context.Context) error, fn func()) error {
	n.bus.mu.Lock()
	before := hook(n)
	n.bus.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return err
		}
	}
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	fn()
	return nil
}

func none(*busNode) func(context.Context) error { return nil }

func topics(sessionID, clientID string) []cluster.Topic {
	both := []cluster.Topic{{SessionID: sessionID}, {ClientID: clientID}}
	return slices.DeleteFunc(both, func(t cluster.Topic) bool { return t == cluster.Topic{} })
}

func (n *busNode) Hold(ctx context.Context, sessionID, clientID string) error {
	n.change(func(n *busNode) { n.holds++ })
	return n.call(ctx, func(n *busNode) func(context.Context) error { return n.onHold }, func() {
		for _, t := range topics(sessionID, clientID) {
			n.held[t] = true
		}
	})
}

func (n *busNode) Release(ctx context.Context, sessionID, clientID string) error {
	n.change(func(n *busNode) { n.releases++ })
	return n.call(ctx, func(n *busNode) func(context.Context) error { return n.onRelease }, func() {
		for _, t := range topics(sessionID, clientID) {
			delete(n.held, t)
		}
	})
}

func (n *busNode) Announce(ctx context.Context, clientID, sessionID string) error {
	return n.call(ctx, func(n *busNode) func(context.Context) error { return n.onAnnounce }, func() {
		for _, other := range n.others() {
			if other.held[cluster.Topic{ClientID: clientID}] {
				other.changes <- store.Change{Kind: store.ChangeClient, ID: sessionID, ClientID: clientID}
			}
		}
	})
}

// others returns the other nodes that haven't left. The lock is held.
func (n *busNode) others() (others []*busNode) {
	for _, other := range n.bus.nodes {
		if other != n && !other.left {
			others = append(others, other)
		}
	}
	return others
}

func (n *busNode) Nodes(ctx context.Context) (names []string, err error) {
	return names, n.call(ctx, none, func() {
		for _, other := range n.others() {
			names = append(names, other.name)
		}
	})
}

func (n *busNode) Holders(ctx context.Context, sessionIDs, clientIDs []string) (names []string, err error) {
	err = n.call(ctx, none, func() {
		for _, other := range n.others() {
			for t := range maps.Keys(other.held) {
				if slices.Contains(sessionIDs, t.SessionID) || slices.Contains(clientIDs, t.ClientID) {
					names = append(names, other.name)
					break
				}
			}
		}
	})
	return names, err
}

func (n *busNode) Send(ctx context.Context, to []string, data []byte) error {
	return n.call(ctx, func(n *busNode) func(context.Context) error { return n.onSend }, func() {
		for _, other := range n.others() {
			if slices.Contains(to, other.name) && (other.lose == nil || !other.lose(data)) {
				other.changes <- store.Change{Kind: store.ChangeMessage, From: n.name, Data: slices.Clone(data)}
			}
		}
	})
}

func (n *busNode) Contact() (c store.Contact) {
	now := time.Now()
	n.change(func(n *busNode) {
		c = store.Contact{
			Answered: now.Add(-max(n.silent, n.partSilent)),
			Reached:  now.Add(-n.silent),
			Heard:    now.Add(-max(n.silent, n.deaf)),
		}
	})
	return c
}

func (n *busNode) Leave(context.Context) error {
	n.change(func(n *busNode) {
		if !n.left {
			n.left = true
			close(n.changes)
		}
	})
	<-n.done
	return n.leaveErr
}

// member is a Node on a bus, and what its functions were called with.
type member struct {
	*cluster.Node
	store *busNode
	work  *workers.Group

	mu         sync.Mutex
	changed    []store.Change
	subscribed []cluster.Topic
	failed     []string
	suspects   []time.Time
	giveUps    int
	resyncs    int
	asked      func(q *cluster.Question)
	used       func(clientID string) uint64
	onResync   func(superseded func() bool)
}

// join makes a member, which leaves at the end of the test.
func join(t *testing.T, b *bus) *member {
	t.Helper()
	c := clock.New()
	m := &member{work: workers.New(func(any) {})}
	count := func(fn func()) { m.mu.Lock(); defer m.mu.Unlock(); fn() }
	m.Node = cluster.Join(b, cluster.Config{
		StoreTimeout: storeTimeout,
		Workers:      m.work,
		Clock:        c,
		Changed:      func(ch store.Change) { count(func() { m.changed = append(m.changed, ch) }) },
		Asked: func(q *cluster.Question) {
			if m.asked != nil {
				m.asked(q)
			}
		},
		Subscribed: func(t cluster.Topic) { count(func() { m.subscribed = append(m.subscribed, t) }) },
		Resync: func(superseded func() bool) {
			count(func() { m.resyncs++ })
			if m.onResync != nil {
				m.onResync(superseded)
			}
		},
		Suspect: func(since time.Time) { count(func() { m.suspects = append(m.suspects, since) }) },
		GiveUp:  func() { count(func() { m.giveUps++ }) },
		Used: func(clientID string) uint64 {
			if m.used == nil {
				return 0
			}
			return m.used(clientID)
		},
		Failed: func(_ context.Context, doing, sessionID string, err error) {
			count(func() { m.failed = append(m.failed, doing) })
		},
	})
	m.store = b.nodes[len(b.nodes)-1]
	m.Start()
	t.Cleanup(func() {
		m.work.Stop()
		require.NoError(t, m.work.Wait(context.WithoutCancel(t.Context())))
		c.Close()
		require.NoError(t, m.Leave(context.WithoutCancel(t.Context())))
		require.NoError(t, m.work.Wait(context.WithoutCancel(t.Context())))
	})
	return m
}

// read returns what fn reads under the member's lock.
func read[T any](m *member, fn func(m *member) T) T {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return fn(m)
}

func failures(m *member) []string { return read(m, func(m *member) []string { return m.failed }) }

// held returns what the store has the member subscribed to.
func held(m *member) (all []cluster.Topic) {
	synctest.Wait()
	m.store.change(func(n *busNode) { all = slices.Collect(maps.Keys(n.held)) })
	return all
}

package bridge_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// hub is a store in memory that several Bridges share as nodes, as processes share a Redis. A test can part nodes from it.
type hub struct {
	*livestore.Store
	mu        sync.Mutex
	nodes     []*hubNode
	locked    map[string]int      // users
	taken     map[string]*hubNode // sessions that a node has to itself
	failHolds atomic.Bool
	unlock    error // of a lock on a user
	shaken    bool  // calls meet in other orders than they would by themselves; set before there are any
}

// hubNode is a node of a hub.
type hubNode struct {
	*livestore.Store
	hub  *hub
	name string
	tell func(store.Change)
	news chan store.Change
	done chan struct{}

	beforeHold  func() // set before anything is held; may be nil
	newestHangs atomic.Bool

	// Guarded by hub.mu.
	sessions, clients map[string]bool
	deaf              bool // changes don't reach it
	missed            bool // some didn't
	down              bool // it doesn't reach the store
	left              bool
	answered          time.Time // when it went down
}

var (
	errDown            = errors.New("the network is down")
	_       store.Node = (*hubNode)(nil)
)

func newHub() *hub {
	return &hub{Store: livestore.New(), locked: make(map[string]int), taken: make(map[string]*hubNode)}
}

// Watch implements store.Watcher.
func (h *hub) Watch(tell func(store.Change)) store.Node {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := &hubNode{
		Store: h.Store, hub: h, name: "node" + strconv.Itoa(len(h.nodes)), tell: tell, news: make(chan store.Change, 100_000), done: make(chan struct{}),
		sessions: make(map[string]bool), clients: make(map[string]bool),
	}
	h.nodes = append(h.nodes, n)
	go func() { // ends with Leave
		defer close(n.done)
		for ch := range n.news {
			n.tell(ch)
		}
	}()
	return n
}

// node returns the nth Bridge's node.
func (h *hub) node(n int) *hubNode {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.nodes[n]
}

// set changes what a node's network does. One that hears again, or comes back, is told that it has missed something.
func (n *hubNode) set(deaf, down bool) {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if down && !n.down {
		n.answered = time.Now()
	}
	back := (n.deaf || n.down) && !deaf && !down
	n.deaf, n.down = deaf, down
	if back && n.missed {
		n.missed = false
		n.news <- store.Change{Kind: store.ChangeMissed}
	}
}

// holds returns how many sessions and clients it holds.
func (n *hubNode) holds() (sessions, clients int) {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	return len(n.sessions), len(n.clients)
}

// do is for what reaches the store and changes something, which is told to others in the order in which it is done.
func (n *hubNode) do(fn func() error) error {
	if n.hub.shaken {
		shake()
		defer shake()
	}
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if n.down {
		return errDown
	}
	return fn()
}

// others tells the other nodes that hold one of these; with neither, all.
func (n *hubNode) others(sessionID, clientID string, ch store.Change) {
	for _, other := range n.hub.nodes {
		if other != n && !other.left && (other.sessions[sessionID] || other.clients[clientID]) {
			other.hear(ch)
		}
	}
}

func (n *hubNode) hear(ch store.Change) {
	if n.deaf || n.down {
		n.missed = true
		return
	}
	n.news <- ch
}

func (n *hubNode) Get(ctx context.Context, id string) (rec store.Record, err error) {
	failed := n.do(func() error { rec, err = n.Store.Get(ctx, id); return nil })
	return rec, errors.Join(err, failed)
}

func (n *hubNode) NewestByClient(ctx context.Context, clientID string, most int) (recs []store.Record, err error) {
	if n.newestHangs.Load() {
		return nil, hang(ctx, nil)
	}
	err = n.do(func() error { recs, err = n.Store.NewestByClient(ctx, clientID, most); return err })
	return recs, err
}

func (n *hubNode) SurplusByClient(ctx context.Context, clientID string, keep, most int) (ids []string, err error) {
	err = n.do(func() error { ids, err = n.Store.SurplusByClient(ctx, clientID, keep, most); return err })
	return ids, err
}

func (n *hubNode) Touch(ctx context.Context, id string, seen time.Time) error {
	return n.do(func() error { return n.Store.Touch(ctx, id, seen) })
}

func (n *hubNode) Set(ctx context.Context, rec store.Record) (rev uint64, err error) {
	err = n.do(func() error {
		was, _ := n.Store.Get(ctx, rec.ID)
		access := was.TokenHash != rec.TokenHash || was.UserID != rec.UserID
		if access && rec.UserID != "" && n.hub.locked[rec.UserID] > 0 {
			return store.ErrBusy
		}
		if owner := n.hub.taken[rec.ID]; owner != nil && owner != n {
			return store.ErrBusy
		}
		if rev, err = n.Store.Set(ctx, rec); err != nil {
			return err
		}
		kind := store.ChangeStored
		if access || rec.Expires.Before(was.Expires) {
			kind = store.ChangeAccess
		}
		n.others(rec.ID, "", store.Change{Kind: kind, ID: rec.ID})
		return nil
	})
	return rev, err
}

func (n *hubNode) Destroy(ctx context.Context, id string) (bool, error) { return n.End(ctx, id, "", 0) }

func (n *hubNode) End(ctx context.Context, id, reason string, revision uint64) (was bool, err error) {
	err = n.do(func() error {
		if rec, err := n.Store.Get(ctx, id); revision != 0 && err == nil && rec.Revision != revision {
			return store.ErrConflict
		}
		if was, err = n.Store.Destroy(ctx, id); was {
			n.gone(id, reason)
		}
		return err
	})
	return was, err
}

func (n *hubNode) gone(id, reason string) {
	n.others(id, "", store.Change{Kind: store.ChangeEnded, ID: id, Reason: reason})
	for _, node := range n.hub.nodes {
		delete(node.sessions, id)
	}
}

func (n *hubNode) Sweep(ctx context.Context, now time.Time, most int) (recs []store.Record, err error) {
	err = n.do(func() error {
		recs, err = n.Store.Sweep(ctx, now, most)
		for i := range recs {
			n.gone(recs[i].ID, store.ReasonSwept)
		}
		return err
	})
	return recs, err
}

func (n *hubNode) Hold(_ context.Context, sessionID, clientID string) error {
	if n.beforeHold != nil {
		n.beforeHold()
	}
	if n.hub.failHolds.Load() {
		return errDown
	}
	return n.do(func() error {
		if sessionID != "" {
			n.sessions[sessionID] = true
		}
		if clientID != "" {
			n.clients[clientID] = true
		}
		return nil
	})
}

func (n *hubNode) Release(_ context.Context, sessionID, clientID string) error {
	return n.do(func() error {
		delete(n.sessions, sessionID)
		delete(n.clients, clientID)
		return nil
	})
}

func (n *hubNode) Announce(_ context.Context, clientID, sessionID string) error {
	return n.do(func() error {
		n.others("", clientID, store.Change{Kind: store.ChangeClient, ID: sessionID, ClientID: clientID})
		return nil
	})
}

func (n *hubNode) Holders(_ context.Context, sessionIDs, clientIDs []string) (names []string, err error) {
	err = n.do(func() error {
		for _, other := range n.hub.nodes {
			of := func(held map[string]bool) func(string) bool { return func(id string) bool { return held[id] } }
			if other != n && !other.left && (slices.ContainsFunc(sessionIDs, of(other.sessions)) || slices.ContainsFunc(clientIDs, of(other.clients))) {
				names = append(names, other.name)
			}
		}
		return nil
	})
	return names, err
}

func (n *hubNode) Nodes(context.Context) (names []string, err error) {
	err = n.do(func() error {
		for _, other := range n.hub.nodes {
			if other != n && !other.left {
				names = append(names, other.name)
			}
		}
		return nil
	})
	return names, err
}

func (n *hubNode) Send(_ context.Context, to []string, data []byte) error {
	return n.do(func() error {
		for _, other := range n.hub.nodes {
			if slices.Contains(to, other.name) && !other.left {
				other.hear(store.Change{Kind: store.ChangeMessage, From: n.name, Data: slices.Clone(data)})
			}
		}
		return nil
	})
}

func (n *hubNode) Contact() store.Contact {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	now := time.Now()
	c := store.Contact{Answered: now, Reached: now, Heard: now}
	if n.down {
		c.Answered, c.Reached, c.Heard = n.answered, n.answered, n.answered
	}
	return c
}

func (n *hubNode) Leave(context.Context) error {
	n.hub.mu.Lock()
	if !n.left {
		n.left = true
		close(n.news)
	}
	n.hub.mu.Unlock()
	<-n.done
	return nil
}

// Reserve implements store.Reserver.
func (n *hubNode) Reserve(_ context.Context, id string) (func(context.Context) error, error) {
	release := func(context.Context) error { return n.do(func() error { delete(n.hub.taken, id); return nil }) }
	return release, n.do(func() error {
		if owner := n.hub.taken[id]; owner != nil && owner != n {
			return store.ErrBusy
		}
		n.hub.taken[id] = n
		return nil
	})
}

// LockUser implements store.UserLocker.
func (n *hubNode) LockUser(_ context.Context, userID string) (func(context.Context) error, error) {
	add := func(by int) error { return n.do(func() error { n.hub.locked[userID] += by; return nil }) }
	return func(context.Context) error { return errors.Join(add(-1), n.hub.unlock) }, add(1)
}

// makeNodes returns so many applications of newApp on one hub, with the same keys.
func makeNodes(t testing.TB, n int, opts bridge.Options) (*hub, []*app) {
	t.Helper()
	h := newHub()
	opts.Keys = [][]byte{slices.Repeat([]byte("k"), 32)}
	apps := make([]*app, n)
	for i := range apps {
		apps[i] = makeApp(t, h, &opts)
	}
	return h, apps
}

// at returns the same browser at another site: one of several behind a balancer.
func (br *browser) at(s *site) *browser {
	other := newBrowser(br.t, s)
	u := *other.base
	other.client.Jar = br.client.Jar
	other.base = &u
	return other
}

package testhub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Node is the connection of one Bridge to a Hub.
type Node struct {
	*livestore.Store
	hub  *Hub
	name string
	tell func(store.Change)
	done chan struct{} // closed when tell has received everything

	newsMu  sync.Mutex
	arrived sync.Cond      // news has grown, or ended is set
	news    []store.Change // notifications that tell has yet to receive, without a limit
	ended   bool           // no more follow

	BeforeHold  func()                 // called by Hold, unless nil; set before the first call
	BeforeKept  func(to store.KeptFor) // likewise by Kept
	NewestHangs atomic.Bool            // whether NewestByClient blocks until its context ends

	// Guarded by hub.mu.
	sessions, clients map[string]bool
	deaf              bool      // receives no notifications
	missed            bool      // has missed some
	down              bool      // can't reach the store
	left              bool      // Leave was called
	answered          time.Time // when the connection went down
}

// ErrDown is the error of a node that can't reach the store.
var ErrDown = errors.New("the network is down")

var _ store.Node = (*Node)(nil)

// SetNetwork sets whether the node receives no notifications (deaf), or can't reach the store at
// all (down). A node that has missed notifications receives ChangeMissed as soon as it is connected
// again.
func (n *Node) SetNetwork(deaf, down bool) {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if down && !n.down {
		n.answered = time.Now()
	}
	back := (n.deaf || n.down) && !deaf && !down
	n.deaf, n.down = deaf, down
	if back && n.missed {
		n.missed = false
		n.Tell(store.Change{Kind: store.ChangeMissed})
	}
}

// Tell notifies the Bridge of a change, after those that it has yet to receive.
func (n *Node) Tell(ch store.Change) {
	n.newsMu.Lock()
	defer n.newsMu.Unlock()
	n.news = append(n.news, ch)
	n.arrived.Signal()
}

// deliver calls tell until the node has left and everything is delivered.
func (n *Node) deliver() {
	defer close(n.done)
	for {
		n.newsMu.Lock()
		for len(n.news) == 0 && !n.ended {
			n.arrived.Wait()
		}
		news := n.news
		n.news = nil
		n.newsMu.Unlock()
		if len(news) == 0 {
			return
		}
		for _, ch := range news {
			n.tell(ch)
		}
	}
}

// Holds returns the number of sessions and clients that the node has subscribed to.
func (n *Node) Holds() (sessions, clients int) {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	return len(n.sessions), len(n.clients)
}

// do runs fn unless the node is down. The hub's lock keeps notifications in the order of the
// changes.
func (n *Node) do(fn func() error) error {
	if n.hub.Shaken {
		teststore.Shake()
		defer teststore.Shake()
	}
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if n.down {
		return ErrDown
	}
	return fn()
}

// others notifies the other nodes that have subscribed to the session or the client.
func (n *Node) others(sessionID, clientID string, ch store.Change) {
	for _, other := range n.hub.nodes {
		if other != n && !other.left && (other.sessions[sessionID] || other.clients[clientID]) {
			other.hear(ch)
		}
	}
}

func (n *Node) hear(ch store.Change) {
	if n.deaf || n.down {
		n.missed = true
		return
	}
	n.Tell(ch)
}

func (n *Node) Get(ctx context.Context, id string) (rec store.Record, err error) {
	failed := n.do(func() error { rec, err = n.Store.Get(ctx, id); return nil })
	return rec, errors.Join(err, failed)
}

func (n *Node) NewestByClient(ctx context.Context, clientID string, most int) (recs []store.Record, err error) {
	if n.NewestHangs.Load() {
		return nil, teststore.Hang(ctx, nil)
	}
	err = n.do(func() error { recs, err = n.Store.NewestByClient(ctx, clientID, most); return err })
	return recs, err
}

func (n *Node) SurplusByClient(ctx context.Context, clientID string, keep, most int) (ids []string, err error) {
	err = n.do(func() error { ids, err = n.Store.SurplusByClient(ctx, clientID, keep, most); return err })
	return ids, err
}

func (n *Node) Touch(ctx context.Context, id string, seen time.Time) error {
	return n.do(func() error { return n.Store.Touch(ctx, id, seen) })
}

func (n *Node) Set(ctx context.Context, rec store.Record) (rev uint64, err error) {
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

func (n *Node) Destroy(ctx context.Context, id string) (bool, error) { return n.End(ctx, id, "", 0) }

func (n *Node) End(ctx context.Context, id, reason string, revision uint64) (was bool, err error) {
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

func (n *Node) gone(id, reason string) {
	n.hub.kept.End(id)
	n.others(id, "", store.Change{Kind: store.ChangeEnded, ID: id, Reason: reason})
	for _, node := range n.hub.nodes {
		delete(node.sessions, id)
	}
}

func (n *Node) Sweep(ctx context.Context, now time.Time, most int) (recs []store.Record, err error) {
	err = n.do(func() error {
		recs, err = n.Store.Sweep(ctx, now, most)
		for i := range recs {
			n.gone(recs[i].ID, store.ReasonSwept)
		}
		return err
	})
	return recs, err
}

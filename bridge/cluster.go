package bridge

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// cluster is this Bridge as one of several processes on a store that tells them of one another: a node. It is nil with any other store, and its methods then
// do nothing.
type cluster struct {
	b       *Bridge
	node    store.Node
	holding holding
	recent  recent
	asking  asking
	answers answers
	began   time.Time
	ready   chan struct{} // closed when the Bridge is made
	tick    *clock.Deadline
	missed  atomic.Bool // a look at everything waits for its turn, or for a second one
	looking sync.Mutex  // held by a look at everything
	silent  bool        // the store has been silent for about as long as connections outlast it; the clock's
	lost    time.Time   // when connections were last doubted because a part of the store is silent; zero: they aren't. The clock's, too
}

// How long the store may be silent.
const (
	freezeAfter = 5 * time.Second  // before what needs it is refused at once
	giveUpAfter = 30 * time.Second // before connections are closed
	healthyFor  = 3 * time.Second  // before the node isn't healthy any more; it asks, and is told, every second
	clusterTick = time.Second
)

// join makes a node of the Bridge if the store can do that, and returns what to use as the store.
func (b *Bridge) join(st store.Store) store.Store {
	w, ok := st.(store.Watcher)
	if !ok {
		return st
	}
	c := &cluster{b: b, began: time.Now(), ready: make(chan struct{})}
	c.node = w.Watch(c.told)
	c.holding.init(c)
	c.asking.waiting = make(map[uint64]*asked)
	b.cluster = c
	return c.node
}

// start begins to listen, when the Bridge is made.
func (c *cluster) start() {
	if c == nil {
		return
	}
	c.tick = &clock.Deadline{}
	c.tick.Do = func() {
		c.look(time.Now())
		c.b.clock.Move(c.tick, time.Now().Add(clusterTick))
	}
	c.b.clock.Move(c.tick, time.Now().Add(clusterTick))
	close(c.ready)
}

// leave ends the node.
func (c *cluster) leave(ctx context.Context) error {
	if c == nil {
		return nil
	}
	err := c.node.Leave(ctx)
	if err != nil && ctx.Err() == nil { // the store doesn't answer: the others find out by themselves
		c.b.storeFailed(ctx, "leave the other nodes", "", err)
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("bridge: leave the other nodes: %w", err)
	}
	return err
}

// told draws the consequences of what another node has done. Whatever takes time is left to others.
func (c *cluster) told(ch store.Change) {
	<-c.ready
	b := c.b
	switch ch.Kind {
	case store.ChangeStored:
		c.report(ch.ID)
	case store.ChangeAccess:
		if b.knows(ch.ID) {
			b.pools.background.Go(func() { c.accessed(ch.ID) })
		}
	case store.ChangeEnded:
		if b.knows(ch.ID) {
			b.pools.remoteEnds.Go(func() { c.ended(ch.ID, reasonOf(ch.Reason)) })
		}
	case store.ChangeClient:
		b.pools.background.Go(func() { c.newest(ch.ClientID, ch.ID) })
	case store.ChangeMissed:
		c.lookAtAll()
	case store.ChangeMessage:
		c.received(ch.From, ch.Data)
	}
}

// report tells subscribers that another node has stored a session that is known here.
func (c *cluster) report(id string) {
	if !c.b.events.Active() {
		return
	}
	c.b.clients.WhileAttached(id, func(clientID, userID string) {
		c.b.events.Emit(SessionSet{ClientID: clientID, SessionID: id, UserID: userID, Via: ViaNode})
	})
}

// accessed looks at a session that another node has stored with another token or user, or an earlier end.
func (c *cluster) accessed(id string) {
	b := c.b
	if b.events.Active() {
		_ = b.gateway.Report(context.Background(), id, func(now *store.Record) { // what fails here is looked into below
			b.learn(now)
			b.tellElsewhere(now, true)
		})
	}
	b.recheckSession(id)
}

// ended ends a session here that another node has ended, after what is being stored here.
func (c *cluster) ended(id string, reason Reason) {
	b := c.b
	b.gateway.InOrder(id, func(later *gateway.Later) {
		if b.knows(id) {
			b.sessionOver(id, "", "", &origin{via: ViaNode, reason: reason}, later)
		}
	})
}

// reasonOf reads what another node has said, which may have another version.
func reasonOf(said string) Reason {
	switch r := Reason(said); r {
	case ReasonLogout, ReasonExpired, ReasonEvicted:
		return r
	case store.ReasonSwept:
		return ReasonExpired
	}
	return ReasonDestroyed
}

// toldReason is what other nodes are told of the end that a tag stands for.
func toldReason(tag any) string {
	if from, ok := tag.(*origin); ok {
		return string(from.reason)
	}
	return string(ReasonExpired)
}

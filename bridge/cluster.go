package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

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
	tick    *deadline
	missed  atomic.Bool  // a look at everything waits for its turn, or for a second one
	looking sync.Mutex   // held by a look at everything
	silent  bool         // the store has been silent for about as long as connections outlast it; the clock's
	lost    atomic.Int64 // when connections were last doubted because a part of the store is silent, in Unix nanoseconds; 0: they aren't
}

// How long the store may be silent.
const (
	freezeAfter  = 5 * time.Second  // before what needs it is refused at once
	giveUpAfter  = 30 * time.Second // before connections are closed
	healthyFor   = 3 * time.Second  // before the node isn't healthy any more; it asks, and is told, every second
	clusterTick  = time.Second
	missedAtOnce = 32 // sessions that are looked at at once
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
	c.tick = &deadline{index: -1}
	c.tick.do = func() {
		c.look(time.Now())
		c.b.clock.move(c.tick, time.Now().Add(clusterTick))
	}
	c.b.clock.move(c.tick, time.Now().Add(clusterTick))
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
		c.report(ch.ID, false)
	case store.ChangeAccess:
		c.report(ch.ID, true)
		if b.knows(ch.ID) {
			b.work.background(func() { b.lookExpired(ch.ID) })
		}
	case store.ChangeEnded:
		if b.knows(ch.ID) {
			b.work.telling(func() { c.ended(ch.ID, reasonOf(ch.Reason)) })
		}
	case store.ChangeClient:
		b.work.background(func() { c.newest(ch.ClientID, ch.ID) })
	case store.ChangeMissed:
		c.lookAtAll()
	case store.ChangeMessage:
		c.received(ch.From, ch.Data)
	}
}

// report tells subscribers that another node has stored a session that is known here.
func (c *cluster) report(id string, access bool) {
	if !c.b.events.active() {
		return
	}
	if clientID, ok := c.b.clients.clientOf(id); ok {
		c.b.events.emit(SessionSet{ClientID: clientID, SessionID: id, Rotated: access, Via: ViaNode})
	}
}

// ended ends a session here that another node has ended, after what is being stored here.
func (c *cluster) ended(id string, reason Reason) {
	b := c.b
	b.gateway.InOrder(id, func() {
		if b.knows(id) {
			b.sessionOver(id, "", &origin{via: ViaNode, reason: reason})
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

// newest follows a login, or a new session of a client, on another node, as rebind does it for those of this one; or its end.
func (c *cluster) newest(clientID, id string) {
	b := c.b
	rec, err := b.gateway.Load(context.Background(), id)
	switch {
	case errors.Is(err, ErrSessionMissing):
		if !b.links.has(id) { // otherwise the store tells of the end, and why
			c.ended(id, ReasonDestroyed)
		}
	case err == nil && rec.ClientID == clientID:
		err = c.follow(&rec)
	}
	if err != nil && !errors.Is(err, ErrSessionMissing) {
		b.storeFailed(context.Background(), "follow a client's login on another node", id, err)
	}
}

// follow has the map and the client's connections follow to the session, unless the client has a newer one by now.
func (c *cluster) follow(rec *store.Record) error {
	b := c.b
	if known, ok := b.clients.sessionOf(rec.ClientID); ok && known != rec.ID {
		other, err := b.gateway.Load(context.Background(), known)
		if err != nil && !errors.Is(err, ErrSessionMissing) {
			return err
		}
		if err == nil && begun(&other).After(begun(rec)) {
			return nil
		}
	}
	return b.gateway.Report(context.Background(), rec.ID, func(now *store.Record) {
		isInit := b.mapClient(now, true)
		b.rebind(&origin{via: ViaNode}, now)
		b.links.watch(b, now)
		if isInit && b.events.active() {
			b.events.emit(SessionSet{ClientID: now.ClientID, SessionID: now.ID, IsInit: true, Via: ViaNode})
		}
	})
}

// begun returns when the session became its client's newest.
func begun(rec *store.Record) time.Time {
	if rec.LoggedIn.After(rec.Created) {
		return rec.LoggedIn
	}
	return rec.Created
}

// announce tells other nodes of a login, a new session, or the end of one, that has been stored here: those that have seen the client.
func (c *cluster) announce(clientID, id string) {
	if c == nil {
		return
	}
	c.b.work.announcing(func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.b.opts.StoreTimeout)
		defer cancel()
		if err := c.node.Announce(ctx, clientID, id); err != nil {
			c.b.storeFailed(ctx, "tell other nodes of a login", id, err)
		}
	})
}

// lookAtAll looks at all that is known here, since something may have been missed. One that is asked for while another is under way comes after it.
func (c *cluster) lookAtAll() {
	if c.missed.Swap(true) {
		return
	}
	c.b.work.task(func() {
		c.looking.Lock()
		defer c.looking.Unlock()
		c.missed.Store(false)
		c.b.opts.Logger.Info("the store has lost sight of this node for a while: every session is looked at", slog.Int("sessions", c.b.clients.count()))
		free := make(chan struct{}, missedAtOnce)
		var running sync.WaitGroup
		at := func(look func()) {
			free <- struct{}{}
			running.Go(func() {
				defer func() { <-free }()
				c.b.work.protect(look)
			})
		}
		connected := c.b.links.sessions() // first: their connections are open meanwhile
		for id := range connected {
			at(func() { c.b.lookExpired(id) })
		}
		for _, id := range c.b.links.clients() {
			at(func() { c.lookForNewer(id) })
		}
		running.Wait()
		for _, id := range c.b.clients.sessions() {
			if c.missed.Load() || c.b.work.stopping() { // what follows begins with the connections again, or nobody needs it
				break
			}
			if _, done := connected[id]; !done {
				at(func() { c.b.lookExpired(id) })
			}
		}
		running.Wait()
	})
}

// findNewer follows a session that the client has got on another node since then, when nobody here held the client yet.
func (c *cluster) findNewer(clientID string, since time.Time) error {
	if c == nil {
		return nil
	}
	rec, err := c.newestStored(clientID)
	if err != nil || rec.ID == "" || begun(&rec).Before(since.Truncate(time.Millisecond)) { // as records have it
		return err
	}
	if err = c.follow(&rec); errors.Is(err, ErrSessionMissing) {
		return nil
	}
	return err
}

// lookForNewer looks whether the client has got another session on another node.
func (c *cluster) lookForNewer(clientID string) {
	b := c.b
	if b.hopeless() {
		return
	}
	rec, err := c.newestStored(clientID)
	if err == nil && rec.ID != "" {
		if known, _ := b.clients.sessionOf(clientID); known != rec.ID {
			err = c.follow(&rec)
		}
	}
	if err != nil && !errors.Is(err, ErrSessionMissing) {
		b.storeFailed(context.Background(), "find a client's newest session", rec.ID, err)
	}
}

// newestStored returns the client's newest session, without an ID when there is none.
func (c *cluster) newestStored(clientID string) (newest store.Record, err error) {
	if c.b.caps.clients == nil {
		return newest, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.b.opts.StoreTimeout)
	defer cancel()
	now := time.Now()
	for rec, err := range c.b.caps.clients.ByClient(ctx, clientID) {
		if err != nil {
			return newest, storeFailure(ctx, "find the client's session", err)
		}
		if !rec.Expired(now) && (newest.ID == "" || begun(&rec).After(begun(&newest))) {
			newest = rec
		}
	}
	return newest, nil
}

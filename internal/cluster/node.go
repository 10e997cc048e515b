package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/workers"
	"github.com/sessionbridge/sessionbridge/store"
)

// Node is this process, as one of several on a store.
type Node struct {
	cfg           Config
	node          store.Node
	subscriptions subscriptions
	recent        recent
	announcements *workers.Pool
	asking        asking
	answers       *workers.Pool // one goroutine: answers are sent in order
	failedAnswers atomic.Uint64
	contact       contact
	resyncs       resyncs
	ready         chan struct{} // closed by Start
	tick          clock.Deadline
}

// Join makes a Node of this process. Before Start it reports nothing and doesn't watch its contact
// with the store.
func Join(w store.Watcher, cfg Config) *Node {
	n := &Node{
		cfg:           cfg,
		announcements: cfg.Workers.Pool(64),
		asking:        asking{waiting: make(map[uint64]*collector)},
		answers:       cfg.Workers.Pool(1),
		contact:       contact{began: time.Now()},
		resyncs:       resyncs{group: cfg.Workers, pool: cfg.Workers.Pool(1), run: cfg.Resync},
		ready:         make(chan struct{}),
	}
	n.node = w.Watch(n.changed)
	n.contact.node = n.node
	n.subscriptions = newSubscriptions(n.node, &n.cfg)
	return n
}

// Store returns the store as this node uses it. Other nodes are notified of changes made through
// it.
func (n *Node) Store() store.Store { return n.node }

// Start begins to call the functions of the Config.
func (n *Node) Start() {
	if n == nil {
		return
	}
	n.tick.Do = func() {
		n.check(time.Now())
		n.cfg.Clock.Move(&n.tick, time.Now().Add(tick))
	}
	n.cfg.Clock.Move(&n.tick, time.Now().Add(tick))
	close(n.ready)
}

// Leave ends the Node. When it has returned nil, no function of the Config is called for a change.
func (n *Node) Leave(ctx context.Context) error {
	if n == nil {
		return nil
	}
	err := n.node.Leave(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil: // the store doesn't answer: the other nodes will notice
		n.cfg.Failed(ctx, "leave the other nodes", "", err)
		return nil
	}
	return fmt.Errorf("bridge: leave the other nodes: %w", err)
}

// Retain counts one more reason to be subscribed to the topic. The caller follows it with Subscribe
// or SubscribeSoon; otherwise the Node subscribes at its next check.
func (n *Node) Retain(t Topic) {
	if n != nil {
		n.subscriptions.retain(t)
	}
}

// Release counts one reason less, and unsubscribes in the background after the last one.
func (n *Node) Release(t Topic) {
	if n != nil {
		n.subscriptions.release(t)
	}
}

// Subscribe returns nil when the node is subscribed to the session and the client, as far as they
// are retained: it will be notified of every change from then on. Either may be "".
func (n *Node) Subscribe(ctx context.Context, sessionID, clientID string) error {
	if n == nil {
		return nil
	}
	return n.subscriptions.subscribe(ctx, Topic{SessionID: sessionID}, Topic{ClientID: clientID})
}

// SubscribeSoon subscribes in the background, and then calls Config.Subscribed.
func (n *Node) SubscribeSoon(t Topic) {
	if n != nil {
		n.subscriptions.subscribeSoon(t)
	}
}

// Seen subscribes the node to the client soon, as long as it is one of the 10,000 that were seen
// last.
func (n *Node) Seen(clientID string) {
	if n == nil {
		return
	}
	gone, added := n.recent.add(clientID, n.cfg.Used)
	if gone != "" {
		n.Release(Topic{ClientID: gone})
	}
	if added {
		n.Retain(Topic{ClientID: clientID})
		n.SubscribeSoon(Topic{ClientID: clientID})
	}
}

// Announce notifies the nodes that have seen the client: the session is new, has a login or has
// ended.
func (n *Node) Announce(clientID, sessionID string) {
	if n == nil {
		return
	}
	n.announcements.Go(func() {
		ctx, cancel := n.limit(context.Background())
		defer cancel()
		if err := n.node.Announce(ctx, clientID, sessionID); err != nil {
			n.cfg.Failed(ctx, "tell other nodes of a login", sessionID, err)
		}
	})
}

// Frozen reports whether the store has been silent for FreezeAfter, so that no session can be
// confirmed.
func (n *Node) Frozen() bool { return n != nil && n.contact.frozen() }

// Healthy reports whether the node hears the others and they hear it.
func (n *Node) Healthy() bool { return n == nil || n.contact.healthy() }

// changed receives the changes that other nodes have made.
func (n *Node) changed(ch store.Change) {
	<-n.ready
	switch ch.Kind {
	case store.ChangeMessage:
		n.received(ch.From, ch.Data)
	case store.ChangeMissed:
		n.resyncs.request()
	default:
		n.cfg.Changed(ch)
	}
}

// check is called every second.
func (n *Node) check(now time.Time) {
	if n.contact.healthy() {
		n.subscriptions.retry()
	}
	switch suspect, giveUp := n.contact.check(now); {
	case giveUp:
		n.cfg.GiveUp()
	case !suspect.IsZero():
		n.cfg.Suspect(suspect)
		n.resyncs.request() // sessions in the parts that answer are found alive
	}
}

func (n *Node) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, n.cfg.StoreTimeout)
}

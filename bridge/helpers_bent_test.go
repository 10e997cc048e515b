package bridge_test

import (
	"context"
	"errors"
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

// bent is a hub some of whose nodes do something else than they would.
type bent struct {
	*hub
	bend func(n *bentNode) // called with each node
}

// Watch implements store.Watcher.
func (b *bent) Watch(tell func(store.Change)) store.Node {
	n := &bentNode{hubNode: b.hub.Watch(tell).(*hubNode)} //nolint:forcetypeassert // nothing else is returned
	b.bend(n)
	return n
}

// bentNode is a node that asks before it does something. A nil function isn't asked.
type bentNode struct {
	*hubNode
	mu         sync.Mutex
	beforeGet  func(ctx context.Context, id string) error
	onSend     func(ctx context.Context) error
	onHold     func(ctx context.Context) error
	onAnnounce func(ctx context.Context) error
	contact    func(store.Contact) store.Contact
}

// change changes what it does.
func (n *bentNode) change(fn func(n *bentNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fn(n)
}

func (n *bentNode) now() (get func(context.Context, string) error, send, hold func(context.Context) error, contact func(store.Contact) store.Contact) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.beforeGet, n.onSend, n.onHold, n.contact
}

func (n *bentNode) Get(ctx context.Context, id string) (store.Record, error) {
	if get, _, _, _ := n.now(); get != nil {
		if err := get(ctx, id); err != nil {
			return store.Record{}, err
		}
	}
	return n.hubNode.Get(ctx, id)
}

func (n *bentNode) Send(ctx context.Context, to []string, data []byte) error {
	if _, send, _, _ := n.now(); send != nil {
		if err := send(ctx); errors.Is(err, errLost) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return n.hubNode.Send(ctx, to, data)
}

func (n *bentNode) Hold(ctx context.Context, sessionID, clientID string) error {
	if _, _, hold, _ := n.now(); hold != nil {
		if err := hold(ctx); err != nil {
			return err
		}
	}
	return n.hubNode.Hold(ctx, sessionID, clientID)
}

func (n *bentNode) Announce(ctx context.Context, clientID, sessionID string) error {
	n.mu.Lock()
	announce := n.onAnnounce
	n.mu.Unlock()
	if announce != nil {
		if err := announce(ctx); err != nil {
			return err
		}
	}
	return n.hubNode.Announce(ctx, clientID, sessionID)
}

func (n *bentNode) Contact() store.Contact {
	c := n.hubNode.Contact()
	if _, _, _, contact := n.now(); contact != nil {
		return contact(c)
	}
	return c
}

// errLost: nobody is told that the message doesn't arrive.
var errLost = errors.New("lost")

// silent is a store that doesn't answer.
func silent(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

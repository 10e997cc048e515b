package testhub

import (
	"context"
	"errors"
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

// Bent is a Hub some of whose nodes behave differently.
type Bent struct {
	*Hub
	Bend func(n *BentNode) // called with each new node
}

// Watch implements store.Watcher.
func (b *Bent) Watch(tell func(store.Change)) store.Node {
	n := &BentNode{Node: b.Hub.Watch(tell).(*Node)} //nolint:forcetypeassert // Watch returns no other type
	b.Bend(n)
	return n
}

// BentNode is a node that calls a function before an operation, unless it is nil. An error of the
// function is returned instead of the operation's result. Set the functions in Bent.Bend or with
// Change.
type BentNode struct {
	*Node
	mu         sync.Mutex
	BeforeGet  func(ctx context.Context, id string) error
	OnSend     func(ctx context.Context) error
	OnHold     func(ctx context.Context) error
	OnAnnounce func(ctx context.Context) error
	OnContact  func(store.Contact) store.Contact // replaces the result of Contact
}

// Change calls fn, which may set the functions of the node.
func (n *BentNode) Change(fn func(n *BentNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fn(n)
}

// current calls fn, if it is set.
func (n *BentNode) current(ctx context.Context, which func() func(context.Context) error) error {
	n.mu.Lock()
	fn := which()
	n.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn(ctx)
}

// Get implements store.Store.
func (n *BentNode) Get(ctx context.Context, id string) (store.Record, error) {
	n.mu.Lock()
	before := n.BeforeGet
	n.mu.Unlock()
	if before != nil {
		if err := before(ctx, id); err != nil {
			return store.Record{}, err
		}
	}
	return n.Node.Get(ctx, id)
}

// Send implements store.Node. If OnSend returns ErrLost, the message is lost and Send returns nil.
func (n *BentNode) Send(ctx context.Context, to []string, data []byte) error {
	err := n.current(ctx, func() func(context.Context) error { return n.OnSend })
	if errors.Is(err, ErrLost) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.Node.Send(ctx, to, data)
}

// Hold implements store.Node.
func (n *BentNode) Hold(ctx context.Context, sessionID, clientID string) error {
	if err := n.current(ctx, func() func(context.Context) error { return n.OnHold }); err != nil {
		return err
	}
	return n.Node.Hold(ctx, sessionID, clientID)
}

// Announce implements store.Node.
func (n *BentNode) Announce(ctx context.Context, clientID, sessionID string) error {
	if err := n.current(ctx, func() func(context.Context) error { return n.OnAnnounce }); err != nil {
		return err
	}
	return n.Node.Announce(ctx, clientID, sessionID)
}

// Contact implements store.Node.
func (n *BentNode) Contact() store.Contact {
	c := n.Node.Contact()
	n.mu.Lock()
	replace := n.OnContact
	n.mu.Unlock()
	if replace != nil {
		return replace(c)
	}
	return c
}

// ErrLost is returned by OnSend to lose a message without an error.
var ErrLost = errors.New("lost")

// Silent blocks until the context ends, like a store that doesn't answer.
func Silent(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

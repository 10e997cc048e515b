package sealed

import (
	"context"
	"sync"

	"github.com/sessionbridge/sessionbridge/store"
)

type watcher struct {
	*Store
	of store.Watcher
}

// Watch implements store.Watcher. The node's capabilities are those of the inner store's node; find
// them with store.As.
func (s watcher) Watch(onChange func(store.Change)) store.Node {
	n := &node{clients: make(map[string]client)}
	// The inner store may report something before Watch returns the node.
	n.Store = &Store{core: s.core, app: s.app}
	inner := s.of.Watch(func(change store.Change) {
		if n.translate(&change) {
			onChange(change)
		}
	})
	n.inner, n.of = inner, inner
	return n
}

// node is a store.Node of the inner store that holds clients by their names, and seals messages.
type node struct {
	*Store
	of store.Node

	mu      sync.Mutex
	clients map[string]client // by the names that the node holds, or is about to hold
}

// client is the client behind a name. Each Hold counts up.
type client struct {
	id    string
	holds uint64
}

// translate replaces names by the IDs of clients, and opens a message. It returns false for a change
// that isn't to be reported: of a client that isn't held, or a message that can't be opened.
func (n *node) translate(change *store.Change) bool {
	if change.ClientID != "" {
		n.mu.Lock()
		c, held := n.clients[change.ClientID]
		n.mu.Unlock()
		if !held {
			return false
		}
		change.ClientID = c.id
	}
	if change.Kind != store.ChangeMessage {
		return true
	}
	data, err := n.openMessage(n.app, change.Data)
	if err != nil {
		n.reports.message(n.app, err)
		return false
	}
	change.Data = data
	return true
}

// Hold implements store.Node. It holds every name of the client, because nodes with another first
// key announce it by that.
func (n *node) Hold(ctx context.Context, sessionID, clientID string) error {
	if clientID == "" {
		return n.of.Hold(ctx, sessionID, "")
	}
	names := n.clientNames(clientID)
	n.mu.Lock()
	for _, name := range names {
		n.clients[name] = client{clientID, n.clients[name].holds + 1}
	}
	n.mu.Unlock()
	for i, name := range names {
		if i > 0 {
			sessionID = ""
		}
		if err := n.of.Hold(ctx, sessionID, name); err != nil {
			return err // the caller holds it again, or releases it
		}
	}
	return nil
}

// Release implements store.Node.
func (n *node) Release(ctx context.Context, sessionID, clientID string) error {
	if clientID == "" {
		return n.of.Release(ctx, sessionID, "")
	}
	names := n.clientNames(clientID)
	n.mu.Lock()
	holds := n.clients[names[0]].holds
	n.mu.Unlock()
	var failed error
	for i, name := range names {
		if i > 0 {
			sessionID = ""
		}
		if err := n.of.Release(ctx, sessionID, name); err != nil && failed == nil {
			failed = err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.clients[names[0]].holds == holds { // not held again meanwhile
		for _, name := range names {
			delete(n.clients, name)
		}
	}
	return failed
}

// Announce implements store.Node.
func (n *node) Announce(ctx context.Context, clientID, sessionID string) error {
	return n.of.Announce(ctx, n.clientNames(clientID)[0], sessionID)
}

// Holders implements store.Node.
func (n *node) Holders(ctx context.Context, sessionIDs, clientIDs []string) ([]string, error) {
	var names []string
	for _, clientID := range clientIDs {
		names = append(names, n.clientNames(clientID)...)
	}
	return n.of.Holders(ctx, sessionIDs, names)
}

// Send implements store.Node. The message is sealed.
func (n *node) Send(ctx context.Context, to []string, data []byte) error {
	envelope, err := n.sealMessage(n.app, data)
	if err != nil {
		return err
	}
	return n.of.Send(ctx, to, envelope)
}

func (n *node) End(ctx context.Context, id, reason string, revision uint64) (bool, error) {
	return ender{n.Store, n.of}.End(ctx, id, reason, revision)
}

func (n *node) Nodes(ctx context.Context) ([]string, error) { return n.of.Nodes(ctx) }
func (n *node) Contact() store.Contact                      { return n.of.Contact() }
func (n *node) Leave(ctx context.Context) error             { return n.of.Leave(ctx) }

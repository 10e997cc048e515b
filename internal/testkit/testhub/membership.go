package testhub

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

func (n *Node) Hold(_ context.Context, sessionID, clientID string) error {
	if n.BeforeHold != nil {
		n.BeforeHold()
	}
	if n.hub.FailHolds.Load() {
		return ErrDown
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

func (n *Node) Release(_ context.Context, sessionID, clientID string) error {
	return n.do(func() error {
		delete(n.sessions, sessionID)
		delete(n.clients, clientID)
		return nil
	})
}

func (n *Node) Announce(_ context.Context, clientID, sessionID string) error {
	return n.do(func() error {
		n.others("", clientID, store.Change{Kind: store.ChangeClient, ID: sessionID, ClientID: clientID})
		return nil
	})
}

func (n *Node) Holders(_ context.Context, sessionIDs, clientIDs []string) (names []string, err error) {
	err = n.do(func() error {
		for _, other := range n.hub.nodes {
			of := func(held map[string]bool) func(string) bool { return func(id string) bool { return held[id] } }
			if other != n && !other.left &&
				(slices.ContainsFunc(sessionIDs, of(other.sessions)) ||
					slices.ContainsFunc(clientIDs, of(other.clients))) {
				names = append(names, other.name)
			}
		}
		return nil
	})
	return names, err
}

func (n *Node) Nodes(context.Context) (names []string, err error) {
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

func (n *Node) Send(_ context.Context, to []string, data []byte) error {
	return n.do(func() error {
		for _, other := range n.hub.nodes {
			if slices.Contains(to, other.name) && !other.left {
				other.hear(store.Change{Kind: store.ChangeMessage, From: n.name, Data: slices.Clone(data)})
			}
		}
		return nil
	})
}

func (n *Node) Contact() store.Contact {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	now := time.Now()
	c := store.Contact{Answered: now, Reached: now, Heard: now}
	if n.down {
		c.Answered, c.Reached, c.Heard = n.answered, n.answered, n.answered
	}
	return c
}

func (n *Node) Leave(context.Context) error {
	n.hub.mu.Lock()
	n.left = true
	n.hub.mu.Unlock()
	n.newsMu.Lock()
	n.ended = true
	n.arrived.Signal()
	n.newsMu.Unlock()
	<-n.done
	return nil
}

// Reserve implements store.Reserver.
func (n *Node) Reserve(_ context.Context, id string) (func(context.Context) error, error) {
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
func (n *Node) LockUser(_ context.Context, userID string) (func(context.Context) error, error) {
	add := func(by int) error { return n.do(func() error { n.hub.locked[userID] += by; return nil }) }
	return func(context.Context) error { return errors.Join(add(-1), n.hub.UnlockErr) }, add(1)
}

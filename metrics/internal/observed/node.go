package observed

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

type watcher struct {
	*Store
	of store.Watcher
}

// Watch implements store.Watcher. The node's capabilities are those of the inner store's node; find
// them with store.As.
func (s watcher) Watch(onChange func(store.Change)) store.Node {
	of := s.of.Watch(onChange)
	return node{New(of, s.hook), of}
}

// node is a store.Node around the node of the inner store.
type node struct {
	*Store
	of store.Node
}

func (n node) End(ctx context.Context, id, reason string, revision uint64) (bool, error) {
	return ender{n.Store, n.of}.End(ctx, id, reason, revision)
}

func (n node) Hold(ctx context.Context, sessionID, clientID string) error {
	return try(ctx, n.Store, "hold", func(ctx context.Context) error { return n.of.Hold(ctx, sessionID, clientID) })
}

func (n node) Release(ctx context.Context, sessionID, clientID string) error {
	return try(ctx, n.Store, "release", func(ctx context.Context) error {
		return n.of.Release(ctx, sessionID, clientID)
	})
}

func (n node) Announce(ctx context.Context, clientID, sessionID string) error {
	return try(ctx, n.Store, "announce", func(ctx context.Context) error {
		return n.of.Announce(ctx, clientID, sessionID)
	})
}

func (n node) Holders(ctx context.Context, sessionIDs, clientIDs []string) ([]string, error) {
	return call(ctx, n.Store, "holders", func(ctx context.Context) ([]string, error) {
		return n.of.Holders(ctx, sessionIDs, clientIDs)
	})
}

func (n node) Nodes(ctx context.Context) ([]string, error) {
	return call(ctx, n.Store, "nodes", n.of.Nodes)
}

func (n node) Send(ctx context.Context, to []string, data []byte) error {
	return try(ctx, n.Store, "send", func(ctx context.Context) error { return n.of.Send(ctx, to, data) })
}

func (n node) Contact() store.Contact { return n.of.Contact() }

func (n node) Leave(ctx context.Context) error { return try(ctx, n.Store, "leave", n.of.Leave) }

// The capabilities that nodes have, too.
type (
	ender struct {
		*Store
		of store.Ender
	}
	reserver struct {
		*Store
		of store.Reserver
	}
)

func (s ender) End(ctx context.Context, id, reason string, revision uint64) (bool, error) {
	return call(ctx, s.Store, "end", func(ctx context.Context) (bool, error) {
		return s.of.End(ctx, id, reason, revision)
	})
}

func (s reserver) Reserve(ctx context.Context, id string) (func(context.Context) error, error) {
	release, err := call(ctx, s.Store, "reserve", func(ctx context.Context) (func(context.Context) error, error) {
		return s.of.Reserve(ctx, id)
	})
	return s.ending("unreserve", release), err
}

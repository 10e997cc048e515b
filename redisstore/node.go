package redisstore

import (
	"github.com/sessionbridge/sessionbridge/redisstore/internal/membership"
	"github.com/sessionbridge/sessionbridge/store"
)

var (
	_ store.Node     = (*node)(nil)
	_ store.Reserver = (*node)(nil)
)

// node is a view of the store. It isn't notified of changes that are made through it.
type node struct {
	*Store
	*membership.Member
}

// Watch implements store.Watcher. An App's store has nodes of its own; the App method of a node
// returns the same stores as that of the store.
//
// Leave ends the node. Without it Close ends the node, too, but the others notice only after 15
// seconds.
func (s *Store) Watch(onChange func(store.Change)) store.Node {
	view := &Store{backend: s.backend, app: s.app, prefixes: s.prefixes}
	view.member = membership.Start(membership.Config{
		Conn: s.backend.Conn, Scripts: s.backend.scripts, Background: s.backend.background,
		Prefixes: s.prefixes, OnChange: onChange,
	})
	return &node{view, view.member}
}

// Close does nothing: Leave ends a node, and the store is closed separately.
func (n *node) Close() error { return nil }

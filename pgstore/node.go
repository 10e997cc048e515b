package pgstore

import (
	"github.com/sessionbridge/sessionbridge/pgstore/internal/membership"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/schema"
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
// returns the same stores as that of the store. A node uses a connection of its own, beside the pool,
// on which it is notified, and notifies itself once a second to find out whether notifications arrive.
// Where they don't, as through PgBouncer in transaction mode, Contact().Heard becomes old, and the node
// learns of changes within about a second; see Options.ListenDSN.
//
// Leave ends the node. Without it Close ends the node, too, but the others notice only after 15
// seconds.
func (s *Store) Watch(onChange func(store.Change)) store.Node {
	view := &Store{backend: s.backend, app: s.app}
	view.member = membership.Start(membership.Config{
		Conn: s.backend.Conn, Background: s.backend.background, Waker: s.backend.waker, Listen: s.backend.listen,
		Schema: schema.Quote(s.backend.schema), App: s.app, OnChange: onChange,
	})
	return &node{view, view.member}
}

// Close does nothing: Leave ends a node, and the store is closed separately.
func (n *node) Close() error { return nil }

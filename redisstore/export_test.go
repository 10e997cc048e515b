package redisstore

import "github.com/sessionbridge/sessionbridge/store"

// Die stops what the node does, as if its process had ended.
func Die(n store.Node) {
	m := n.(*node).member
	m.stop()
	<-m.ended
}

// NameOf returns the name that the node has now.
func NameOf(n store.Node) string { return n.(*node).member.name() }

// Package cluster makes a process one of several nodes on a store that is a [store.Watcher].
//
// A [Node] subscribes to the sessions and clients that its owner retains ([Node.Retain]), and to
// the clients that were seen last ([Node.Seen]). So the notifications that a node receives grow
// with its own connections, not with the number of nodes. It announces new sessions and logins
// ([Node.Announce]), and passes on what other nodes have changed (Config.Changed).
//
// [Ask] asks other nodes and collects their answers; a node answers with [Answer]. A question has a
// kind, a body and a payload; an answer is a list of items, sent in pieces. The package doesn't
// know their types. If a node is silent for 2 s, or a piece is lost, Ask returns [ErrSilent] beside
// the items that have arrived.
//
// The Node watches its contact with the store. After 5 s of silence it is frozen ([Node.Frozen]):
// its owner refuses what the store would have to confirm. If only a part of the store is silent,
// Config.Suspect is called; after 30 s without any reply, Config.GiveUp is. When notifications may
// have been missed, Config.Resync runs once, and once more if they are missed again meanwhile.
//
// A Node is safe for concurrent use. A nil *Node belongs to a process without other nodes: its
// methods and Ask do nothing, and it is healthy. No function of the Config is called under a lock
// of the Node, except Config.Used. Retain, Release, SubscribeSoon, Seen and Announce wait only for
// an inner lock, and then for that of a pool of workers.
package cluster

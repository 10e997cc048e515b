// Package membership makes a process a node of a store: it receives the changes that other
// processes make to the sessions and clients that it holds, and exchanges messages with other
// nodes.
//
// The life of a Member is a sequence of terms. In each it has another name, the same in all shards.
// It joins every shard, restores there what it holds, and then runs three goroutines for each
// shard: one subscribes to the node's channel, one reads the inbox and renews the lease, one
// executes Hold and Release. A term ends when a shard no longer knows the node or may have lost
// acknowledged writes. The member then joins again under a new name, because others may be
// deregistering the old one, restores what it holds, and reports store.ChangeMissed.
//
// The scripts deliver changes to inboxes atomically with the change itself. Messages on the channel
// only say that the inbox has something; they may be lost, because the inbox is read once a second
// anyway.
package membership

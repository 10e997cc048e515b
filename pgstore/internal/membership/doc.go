// Package membership makes a process a node of a store in PostgreSQL: it receives the changes that
// other processes make to the sessions and clients that it holds, and exchanges messages with other
// nodes.
//
// The life of a Member is a sequence of terms. In each it has another name: it joins, restores what
// it holds, and then runs three goroutines. One listens on the node's channel, on a connection of its
// own; one reads the inbox and renews the lease; one executes Hold and Release. A term ends when the
// server no longer knows the node: after a crash, or a failover, or because the node did not renew
// its lease in time. The member then joins again under a new name, restores what it holds, and
// reports store.ChangeMissed.
//
// Changes are delivered to inboxes in the same transaction as the change itself. Notifications only
// say that the inbox has something; they may be lost, because the inbox is read once a second anyway.
// They are sent after the transaction, by one goroutine of the store (Waker): NOTIFY in a
// transaction would make all commits of the database wait for one another.
package membership

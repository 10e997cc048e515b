// Package pgstore keeps sessions in PostgreSQL 14 or later. Several processes may share them.
//
// It has every optional capability of package store except CachedGetter. A session is one row. Its
// updates change no index, unless they change the user, the client or the last login, make the session
// expire earlier, or are the first in an hour. Every operation is one statement, most of them a function
// that Open has created in the store's schema. Reads, writes and touches that would wait for a connection
// share a statement.
//
// The life of a session: set_session inserts its row, and later updates it if its revision is the
// expected one. touch_session moves its deadline, without waiting for the disk. end_session or
// sweep_sessions removes it, each session for exactly one caller.
//
// A process can be a node, which learns what other processes do to the sessions that it holds: see
// Store.Watch. The functions that change a session add the change to the inboxes of its holders, in
// the same transaction, so that a change is delivered if and only if it is stored. Notifications only
// say that the inbox has something; they may be lost, because nodes read their inboxes once a second
// anyway. Only nodes and locks on a user have goroutines that outlive a call. They end with Leave,
// with unlock, or with the store.
//
// Leases and locks depend only on the clock of the server. See docs/postgres.md for costs, sizes and
// rights.
package pgstore

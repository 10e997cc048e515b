// Package redisstore keeps sessions in Redis 7 or later, or Valkey: standalone, behind Sentinel, or
// in a cluster. Several processes may share them.
//
// It has every optional capability of package store. A session is one string: a head of fixed size,
// which scripts read and change in place, and the rest of the record. It has four indexes, by
// expiry, activity, user and client. Each is a B-tree of two levels made of small sorted sets,
// because Redis stores small sorted sets in a quarter of the memory.
//
// A session and its index entries are in one hash slot, "namespace:{shard}", so that a single
// script compares and sets, updates the indexes and sets the time to live: one round trip for each
// operation, at every size. Queries by user, client or recent activity ask all shards at once.
//
// The life of a session: a script creates it with its index entries. Other scripts change it if its
// revision is the expected one, and move its index entries only when necessary: by activity once a
// minute, by expiry when it would have been due. Destroy or Sweep removes it, each session for
// exactly one caller. A session that is never swept is dropped by Redis two days after it has
// expired.
//
// A process can be a node, which learns what other processes do to the sessions that it holds: see
// Store.Watch. The scripts that change a session add the change to the inboxes of its holders, so
// that a change is delivered if and only if it is stored. Messages that announce an inbox entry may
// be lost, because nodes read their inboxes once a second anyway. Only nodes and locks on a user
// have goroutines that outlive a call. They end with Leave, with unlock, or with the store.
//
// The content of Redis, and how long it is kept, depend only on the clock of its server. See
// docs/redis.md for costs, and for what remains when Redis loses acknowledged writes.
package redisstore

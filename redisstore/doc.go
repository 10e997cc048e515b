// Package redisstore keeps sessions in Redis 7 or later, or Valkey: standalone, behind Sentinel, or in a Cluster. Several processes may
// share them.
//
// It has every optional capability of package store. A session is one string: a head of fixed size, which scripts read and change in
// place, and the rest of the record. Four indexes stand beside it, by expiry, activity, user and client, as B-trees of two levels made of
// small sorted sets, because Redis keeps small ones in a quarter of the memory.
//
// A session and its index entries are in one hash slot, "namespace:{shard}", so that a single script compares and sets, keeps the indexes and sets
// the time to live together: one round trip for each operation, at every size. Questions about a user, a client or what was active
// lately ask all shards at once.
//
// The life of a session here: a script creates it with its index entries; others change it if its revision is the expected one, and move it within
// an index only when they must, by activity once a minute, by expiry when it would have been due; Destroy or Sweep removes it, each
// session by exactly one caller. What nobody sweeps Redis drops by itself, two days after it has expired.
//
// A process may be a node, which learns what others do to the sessions that it holds: Store.Watch. The scripts that change a session put that into the inboxes of
// its holders, so that nothing is told that isn't stored, and nothing stored that isn't told; what says that there is something in an inbox may be lost, because
// nodes look once a second anyway. Only nodes, and locks on a user, have goroutines that outlive a call; they end with Leave, with unlock, or with the store.
//
// What Redis keeps, and for how long, depends on no clock but that of its server. See docs/redis.md for what it
// costs, and what remains when Redis loses what it has acknowledged.
package redisstore

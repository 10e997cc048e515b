// Package livestore keeps sessions in memory. They are lost when the process ends.
//
// It has every optional capability of package store. Sessions are distributed over shards by a hash
// of their ID. Each shard has a lock of its own, which is held for one operation or for one small
// part of a long operation; no lock covers the whole store.
//
// A session is one entry, found through its shard's hash table. Each shard also has two sorted
// orders, by expiry and by last activity. Two indexes, by user and by client, span the shards. A
// sweep reads only entries that are due. An iteration uses a snapshot that is much smaller than the
// sessions it covers, and holds no lock while the caller processes a record.
//
// The package starts no goroutine and never reads the clock: callers pass the time.
package livestore

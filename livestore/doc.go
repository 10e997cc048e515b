// Package livestore keeps sessions in memory: for one process, and gone with it.
//
// It has every optional capability of package store. Sessions are spread over shards by a hash of their ID, each with a lock
// of its own that is held for one operation, or for one small piece of a long one; no lock covers the whole store.
//
// A session is one entry, found through its shard's table. Two sorted orders stand beside the table, by expiry and by last
// activity, and two indexes that span the shards, by user and by client. A sweep looks at what is due and at nothing else. An
// iteration works on a snapshot that costs a fraction of what it covers, and holds no lock while the caller looks at a record.
//
// The package starts no goroutine and never asks for the time: it has what the caller passes in.
package livestore

// Package wal is a write-ahead log: a sequence of groups of changes, in two files.
//
// A group is written with one write; Sync makes all groups that were written durable. After a
// crash, Replay returns in order every group that was synced, and possibly later ones that reached
// the disk whole. It erases the unfinished tail that a crash leaves. If a group that was synced
// can't be read, Replay fails with a *DamagedError that names the file and the offset, and changes
// nothing: every group records up to which position the log was synced before it.
//
// Rotate continues the log in the other file, which overwrites the groups there: the caller must
// no longer need them. A write, sync or rotation that failed for lack of space can be undone with
// Rollback and tried again. The content of groups is opaque to this package.
//
// A Log is used by one goroutine at a time. Position, ID and Shrink may be called by another one
// as long as neither a rotation nor a replay is possible.
package wal

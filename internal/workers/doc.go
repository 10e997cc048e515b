// Package workers owns goroutines: a caller can wait until all that were started through a Group
// have returned.
//
// A Group counts what is running: goroutines that it has started and callers that have entered it.
// After Stop it admits no new work from outside (TryGo, TryEnter) but still runs the work that
// belongs to what is running (Go, Enter, pools), so that a shutdown can finish it.
//
// A Pool runs the tasks of one kind, at most so many at once; further ones wait, in their order. It
// has no goroutines while it has no tasks. Pools of one Group don't wait for one another, so a kind
// of task that may hang gets a Pool of its own.
//
// A [Limited] is for a caller that fans out: it runs at most so many of the caller's tasks at once
// and makes the caller wait for a free place, and at the end for all.
//
// A task that panics doesn't end the process: the Group reports the panic and goes on.
package workers

// Package heartbeat calls a function of an application at intervals, to keep a connection alive and
// to notice that its client has vanished.
//
// One call of a [Beat] runs at a time, in a goroutine of its own; if it still runs when the next
// one is due, that one is left out. Each has [Wait] and the connection's context to end. An error,
// a panic, or a call that takes longer is reported to the connection as its failure. After
// [Beat.Stop], which waits for a call that runs, none follows.
//
// Beats are rounded up to the next 250 ms, so that those of many connections share the wake-ups of
// the clock: see [Plan]. A Beat has no goroutine between two calls, and no timer.
package heartbeat

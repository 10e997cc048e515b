// Package reclaiming decides when a store that has lost many sessions is to reclaim their space.
//
// A [Watch] counts the sessions that end. After each cleanup it compares them with the sessions
// that are left. If they are at least the configured share, it reclaims the space in the
// background: one call at a time, and none after [Watch.Stop], which also ends the context of a
// call that is running.
//
// The sessions that are left are counted only as far as the decision needs, which costs in
// proportion to the sessions that have ended.
//
// A nil Watch does nothing. A Watch is safe for concurrent use, and has no goroutine or timer of
// its own.
package reclaiming

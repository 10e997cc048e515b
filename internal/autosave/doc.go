// Package autosave decides when something that is worked on for long is stored: from time to time,
// when it is asked for, and at the end.
//
// A [Saver] has a turn, which is held while the thing is worked on or stored: [Saver.Lock],
// [Saver.Unlock]. A save never waits for the turn: if another goroutine has it, the save follows
// when that goroutine gives it back. Calls of [Saver.Soon] that come together cause one save.
//
// [Saver.Close] ends the planned saves and waits for the turn, for the last save. [Retry] repeats
// that save while the store is unavailable.
//
// A Saver costs one deadline of a clock, and a goroutine of a pool while something is stored. It is
// safe for concurrent use.
package autosave

// Package autosave decides when something that is worked on for long is stored: from time to time,
// when it is asked for, and at the end.
//
// A [Saver] has a turn, which is held while the thing is worked on or stored: [Saver.Lock],
// [Saver.Unlock]. A save never waits for the turn: if another goroutine has it, the save follows
// when that gives it back. Saves that are asked for together, with [Saver.Soon], are one.
//
// [Saver.Close] ends the plan and waits for the turn for the last save, which [Retry] repeats while
// the store is unavailable.
//
// A Saver costs one deadline of a clock, and a goroutine of a pool while something is stored. It is
// safe for concurrent use, and knows nothing of what it saves.
package autosave

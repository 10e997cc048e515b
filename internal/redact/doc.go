// Package redact prints values without what a log must not hold.
//
// [Key.ID] makes of an ID a value that slog prints as a keyed hash: the log lines about one session
// can be found by one another, but the session can't be found by them (OWASP: logging session IDs).
// [Struct] prints the fields of a struct, and of those that hold secrets only their length. Neither
// reads anything that needs a lock.
package redact

// Package redact prints values without the parts that a log must not contain.
//
// [Key.ID] turns an ID into a value that slog prints as a keyed hash: the log lines of a session
// have the same hash, from which the ID can't be computed (OWASP: logging session IDs). [Struct]
// prints the fields of a struct; of secret fields it prints only the length. Neither reads anything
// that needs a lock.
package redact

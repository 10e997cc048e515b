package store

import "errors"

// The outcomes that a caller acts upon. Test with errors.Is.
var (
	// ErrNotFound: the store has no such record, or no longer.
	ErrNotFound = errors.New("store: no such record")
	// ErrConflict: the record was changed since it was read, or exists already.
	ErrConflict = errors.New("store: revision conflict")
	// ErrBusy: another process has the session to itself for a moment, or all sessions of the user are being ended. Nothing has been changed; it can be tried again shortly.
	ErrBusy = errors.New("store: held by another writer for a moment")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store: closed")
)

package store

import "errors"

// The outcomes that a caller acts upon. Test with errors.Is.
var (
	// ErrNotFound: the store has no such record, or no longer.
	ErrNotFound = errors.New("store: no such record")
	// ErrConflict: the record was changed since it was read, or exists already.
	ErrConflict = errors.New("store: revision conflict")
	// ErrUserLocked: all sessions of the user are being ended. Nothing has been changed; it can be tried again shortly.
	ErrUserLocked = errors.New("store: the user's sessions are being ended")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store: closed")
)

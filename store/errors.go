package store

import "errors"

// Sentinels. Test with errors.Is.
var (
	// ErrNotFound: the record doesn't exist, or no longer.
	ErrNotFound = errors.New("store: no such record")
	// ErrConflict: the record has been changed since it was read, or exists already.
	ErrConflict = errors.New("store: revision conflict")
	// ErrBusy: another process has reserved the session, or all sessions of the user are being
	// ended. Nothing has been changed; the operation can be retried shortly.
	ErrBusy = errors.New("store: temporarily reserved by another writer")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store: closed")
)

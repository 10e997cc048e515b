package gateway

import (
	"errors"
	"fmt"
)

// The bridge exports these under names of its own, hence the prefix.
var (
	ErrMissing      = errors.New("bridge: no such session")
	ErrGone         = errors.New("bridge: the session has ended")
	ErrTokenRotated = errors.New(
		"bridge: the session's token was replaced meanwhile: try again with the new cookie or token",
	)
	ErrConflict    = errors.New("bridge: the session kept changing: too many conflicting writers")
	ErrTooLarge    = errors.New("bridge: the session is too large")
	ErrUnavailable = errors.New("bridge: the session store is unavailable")
)

// ValueError says which key of a session can't be stored, and why.
type ValueError struct {
	Key string
	Err error
}

func (e *ValueError) Error() string { return fmt.Sprintf("bridge: session key %q: %v", e.Key, e.Err) }

// Unwrap returns the cause.
func (e *ValueError) Unwrap() error { return e.Err }

package teststore

import (
	"errors"
)

// ErrOutage is the error of a store that can't be reached.
var ErrOutage = errors.New("connection refused")

// ErrDiskFull is the error of a store that can't write.
var ErrDiskFull = errors.New("disk full")

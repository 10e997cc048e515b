//go:build !unix

package redistest

import "syscall"

// Nothing can pause a process here; Server.signal reports that.
const (
	pause  = syscall.Signal(0x13)
	resume = syscall.Signal(0x12)
)

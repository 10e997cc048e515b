package testkit

import (
	"bytes"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	// Idle is the IdleTimeout of Expiring.
	Idle = 10 * time.Minute
	// Touch is the TouchInterval of Expiring: how long activity may go unrecorded.
	Touch = time.Minute
	// Revalidate is the default of Options.Revalidate.
	Revalidate = 5 * time.Minute
	// Confidential is a value of a session that no log line, event or error may contain.
	Confidential = "correct horse battery staple"
)

// Expiring returns options for sessions that expire, without the automatic cleanup.
func Expiring(lifetime time.Duration) *bridge.Options {
	return &bridge.Options{IdleTimeout: Idle, TouchInterval: Touch, Lifetime: lifetime, AutoCleanup: bridge.Off}
}

// Lasting returns options for sessions that never expire, so that nothing but revalidation checks
// them.
func Lasting() *bridge.Options {
	return &bridge.Options{IdleTimeout: bridge.Off, Lifetime: bridge.Off, AutoCleanup: bridge.Off}
}

// Key returns a valid signing key, always the same.
func Key() []byte { return bytes.Repeat([]byte("k"), 32) }

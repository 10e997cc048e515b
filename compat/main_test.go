package compat_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that nothing that was tried leaves a goroutine behind.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // of Bridges without a Logger
	goleak.VerifyTestMain(m)
}

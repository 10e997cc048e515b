package compat_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that nothing that was tried leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

package bridge_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that no test leaves a goroutine behind: each one that the package starts has an owner that waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Package await bounds the waits of tests. A limit ends a wait that would otherwise block forever;
// it decides no test, so it is far longer than the wait takes on a busy machine.
package await

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Limit is how long a test waits for something that must happen.
const Limit = time.Minute

// Receive returns the next value of a channel, and fails the test after Limit.
func Receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	late := time.NewTimer(Limit)
	defer late.Stop()
	select {
	case v := <-from:
		return v
	case <-late.C:
		require.FailNow(t, "nothing was received")
	}
	panic("unreachable")
}

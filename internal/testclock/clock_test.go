package testclock_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/internal/testclock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lasting returns an operation that takes so long.
func lasting(d time.Duration) func() error {
	return func() error {
		time.Sleep(d)
		return nil
	}
}

// TestIdleMachine: a control that keeps its pace leaves the time as it is.
func TestIdleMachine(t *testing.T) {
	for name, control := range map[string]func() error{"none": nil, "fast": lasting(testclock.Tick / 2)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := testclock.Start(t, control)
				require.Zero(t, c.Elapsed())
				time.Sleep(5 * time.Second)
				require.InDelta(t, 5*time.Second, c.Elapsed(), float64(testclock.Tick))
			})
		})
	}
}

// TestBusyMachine: time goes by as slowly as the control operation does.
func TestBusyMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testclock.Start(t, lasting(4*testclock.Tick))
		time.Sleep(8 * time.Second)
		require.InDelta(t, 2*time.Second, c.Elapsed(), float64(2*testclock.Tick))
	})
}

// TestHangingControl: a control operation that hangs stops the clock, and the end of the test waits
// for it.
func TestHangingControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		c := testclock.Start(t, func() error { <-goOn; return nil })
		t.Cleanup(func() { close(goOn) })
		time.Sleep(time.Hour)
		require.Zero(t, c.Elapsed())
	})
}

// TestFailingControl: an operation that fails is no measure of time.
func TestFailingControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := errors.New("no server")
		c := testclock.Start(t, func() error { return failing })
		time.Sleep(time.Second)
		require.Zero(t, c.Elapsed())
	})
}

package closing_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/closing"
)

// slow returns a Func whose function takes a while, and the calls that have returned.
func slow(takes time.Duration) (f *closing.Func[string], calls chan string) {
	calls = make(chan string, 10)
	return closing.NewFunc(func(c string) {
		time.Sleep(takes)
		calls <- c
	}), calls
}

func TestFuncIsCalledOnce(t *testing.T) {
	f, calls := slow(0)
	f.Call("first")
	f.Call("second")
	require.Len(t, calls, 1)
	require.Equal(t, "first", <-calls)
	f.Stop(true, time.Hour) // it has returned
}

func TestFuncIsNotCalledAfterStop(t *testing.T) {
	f, calls := slow(0)
	f.Stop(false, time.Hour)
	f.Call("late")
	require.Empty(t, calls)
	f.Stop(true, time.Hour)
}

// Stop also waits for a call that began although none was expected: the call's connection is gone
// when Stop has returned.
func TestStopWaitsForACallThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, calls := slow(100 * time.Millisecond)
		go f.Call("destroyed")
		synctest.Wait()
		go f.Stop(false, time.Second)
		f.Stop(false, time.Second)
		require.Len(t, calls, 1)
	})
}

func TestStopWaitsForACallThatIsExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, calls := slow(100 * time.Millisecond)
		time.AfterFunc(time.Second, func() { f.Call("destroyed") })
		f.Stop(true, 2*time.Second)
		require.Len(t, calls, 1)
	})
}

func TestStopWaitsForTheLimitAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs, calls := slow(time.Minute)
		go hangs.Call("destroyed")
		synctest.Wait()
		began := time.Now()
		hangs.Stop(true, time.Second)
		require.Equal(t, time.Second, time.Since(began))
		hangs.Stop(true, time.Second)
		require.Equal(t, time.Second, time.Since(began), "the second Stop is at once")
		require.Equal(t, "destroyed", <-calls)

		missing, calls := slow(0)
		missing.Stop(true, time.Second)
		missing.Call("late")
		require.Empty(t, calls)
	})
}

func TestFuncThatPanicsHasReturned(t *testing.T) {
	f := closing.NewFunc(func(string) { panic("a bug") })
	require.Panics(t, func() { f.Call("destroyed") })
	f.Stop(true, time.Hour)
}

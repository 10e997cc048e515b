package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Delays are measured by a clock that nobody sets, expiries by the one on the wall. A deadline may be of the one and then of the other.
func TestDeadlinesAreOfTwoClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeadlines()
		defer d.close()
		var done []string
		note := func(what string) func() { return func() { done = append(done, what) } }
		start := time.Now()
		delay := d.add(start.Add(3*time.Second), note("delay"))
		expiry := d.add(start.Round(0).Add(2*time.Second), note("expiry"))
		moved := d.add(start.Round(0).Add(time.Second), note("moved"))
		taken := d.add(start.Add(time.Second), note("taken back"))
		require.False(t, delay.wall)
		require.True(t, expiry.wall)
		require.True(t, moved.wall)
		d.move(moved, start.Add(4*time.Second))
		require.False(t, moved.wall)
		d.remove(taken)
		require.Len(t, d.heap[0], 2)
		require.Len(t, d.heap[1], 1)
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, []string{"expiry"}, done)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"expiry", "delay", "moved"}, done)
		d.move(expiry, start.Round(0).Add(5*time.Second))
		d.move(delay, start.Add(5*time.Second))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, done, 5, "those that have passed come back")
	})
}

package bridge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Delays are measured by a clock that nobody sets, expiries by the one on the wall. A deadline may be of the one and then of the other.
func TestDeadlinesAreOfTwoClocks(t *testing.T) {
	d := newDeadlines()
	defer d.close()
	done := make(chan string, 10)
	note := func(what string) func() { return func() { done <- what } }
	start := time.Now()
	delay := d.add(start.Add(time.Hour), note("delay"))
	expiry := d.add(start.Round(0).Add(time.Hour), note("expiry"))
	moved := d.add(start.Round(0).Add(time.Hour), note("moved"))
	taken := d.add(start, func() {})
	d.remove(taken)
	require.False(t, delay.wall)
	require.True(t, expiry.wall)
	require.True(t, moved.wall)
	require.Len(t, d.heap[0], 1)
	require.Len(t, d.heap[1], 2)
	d.move(moved, start.Add(2*time.Hour))
	require.False(t, moved.wall)
	require.Len(t, d.heap[0], 2)
	require.Len(t, d.heap[1], 1)
	require.True(t, d.later(moved, start.Add(time.Hour)))

	d.move(expiry, start.Round(0).Add(time.Millisecond))
	require.Equal(t, "expiry", <-done)
	d.move(moved, start.Round(0).Add(time.Millisecond))
	require.Equal(t, "moved", <-done)
	d.move(delay, start.Add(time.Millisecond))
	require.Equal(t, "delay", <-done)
	d.move(expiry, time.Now().Add(time.Millisecond))
	require.Equal(t, "expiry", <-done, "those that have passed come back")
}

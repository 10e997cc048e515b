// Package testclock measures durations in tests, on machines that are busy with other work.
//
// A bound such as "within 5 s" is a promise of the program about an idle machine. On a machine
// whose cores are taken by others everything takes longer, and a bound on the wall clock fails
// without a fault. A Clock is a control: beside the test a goroutine repeats a plain operation of
// the same kind, and time counts only while that keeps its pace. On an idle machine the Clock shows
// real time; on a busy one it is as slow as the program under test.
//
// It is for tests that need real time, because another process or the network takes part. Others
// use testing/synctest.
package testclock

import (
	"sync/atomic"
	"testing"
	"time"
)

// Tick is the resolution: the Clock advances by this for each repetition of the control operation.
const Tick = 10 * time.Millisecond

// Clock is a running clock. Its methods are safe for concurrent use.
type Clock struct {
	ticks atomic.Int64
}

// Start starts a Clock at zero. It runs until the end of the test.
//
// control is an operation that takes well under Tick on an idle machine, such as a request to the
// server that the measured one goes to; nil is one that takes no time, and shows only how late
// timers are. The Clock stands still while it is under way, and an operation that fails doesn't
// count: the test must not make it hang or fail.
func Start(t testing.TB, control func() error) *Clock {
	if control == nil {
		control = func() error { return nil }
	}
	c := &Clock{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(Tick) // it drops ticks that are not received in time
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if control() == nil {
				c.ticks.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return c
}

// Elapsed returns the time since Start: at most the real time.
func (c *Clock) Elapsed() time.Duration { return time.Duration(c.ticks.Load()) * Tick }

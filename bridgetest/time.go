package bridgetest

import (
	"testing/synctest"
	"time"
)

// Advance moves the fake time of the test's synctest bubble forward by d, and returns when
// everything that was due by then has happened: timers have run, and each goroutine of the bubble
// is waiting. With 0 it only waits. Outside of a bubble, and with a negative d, it panics.
func Advance(d time.Duration) {
	if d < 0 {
		panic("bridgetest: Advance: " + d.String() + " is negative: time moves forward only")
	}
	synctest.Wait()
	time.Sleep(d)
	synctest.Wait()
}

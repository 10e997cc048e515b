package terms

import (
	"sync/atomic"
	"time"
)

// Instant is a time that is read and written atomically. It has a monotonic reading, so that
// setting the clock does not make a server look unresponsive.
type Instant struct{ at atomic.Pointer[time.Time] }

// Now sets the time to the present one.
func (i *Instant) Now() {
	now := time.Now()
	i.at.Store(&now)
}

// Load returns the time, zero before Now was called.
func (i *Instant) Load() time.Time {
	if at := i.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

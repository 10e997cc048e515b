package membership

import (
	"sync/atomic"
	"time"
)

// instant is a time that is read and written atomically. It has a monotonic reading, so that
// setting the clock does not make a server look unresponsive.
type instant struct{ at atomic.Pointer[time.Time] }

func (i *instant) now() {
	now := time.Now()
	i.at.Store(&now)
}

func (i *instant) load() time.Time {
	if at := i.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

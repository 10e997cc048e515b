package background

import (
	"context"
	"time"
)

// Sleep returns true after d, or false when the context ends first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

const (
	shortest = 20 * time.Millisecond
	longest  = time.Second
)

// Backoff is the time to wait before something that failed is retried: it doubles with each
// failure, from 20 ms to 1 s. The zero value is ready to use.
type Backoff struct{ next time.Duration }

// Wait sleeps before the next attempt. It returns false if the context ends first.
func (b *Backoff) Wait(ctx context.Context) bool {
	d := max(b.next, shortest)
	b.next = min(2*d, longest)
	return Sleep(ctx, d)
}

// stable is how long something must have worked for a failure to count as the first one.
const stable = 10 * time.Second

// Worked resets the backoff if the attempt that began at that time has worked for at least 10
// seconds.
func (b *Backoff) Worked(began time.Time) {
	if time.Since(began) > stable {
		b.next = 0
	}
}

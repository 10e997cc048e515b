package bridge

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// Cleanup removes the expired sessions and returns their number. With a store that is a
// store.Sweeper, the cost is in proportion to this number; a store.Lister is read as a whole.
// ErrUnsupported with a store that is neither.
func (b *Bridge) Cleanup(ctx context.Context) (int, error) {
	start := time.Now()
	n, err := b.gateway.Sweep(ctx)
	err = errors.Join(err, b.tickets.Sweep(ctx))
	if b.events.Active() && (n > 0 || err == nil) {
		b.events.Emit(Cleanup{Cleared: n, Took: time.Since(start)})
	}
	return n, err
}

// StartAutoCleanup runs Cleanup in the background at this interval, which is at least 1 ms. It
// returns false, and changes nothing, if it is running already, or can't run.
func (b *Bridge) StartAutoCleanup(every time.Duration) bool {
	a := &b.cleanup
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stop != nil || every < time.Millisecond || !b.gateway.CanSweep() || b.work.Stopped() {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	next := b.repeat(ctx, every, func() {
		if _, err := b.Cleanup(ctx); err != nil && !errors.Is(err, context.Canceled) {
			b.failedAside(ctx, slog.LevelError, Failure{Doing: "clean up", Err: err})
		}
	})
	a.stop = func() {
		cancel()
		b.clock.Remove(next)
	}
	return true
}

// StopAutoCleanup stops the background cleanup. One that is running ends after its current batch.
// It returns false if it was not started.
func (b *Bridge) StopAutoCleanup() bool {
	a := &b.cleanup
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stop == nil {
		return false
	}
	a.stop()
	a.stop = nil
	return true
}

// startPruning has expired sessions rechecked at intervals, so that the map of clients forgets
// those whose end was not notified. It leaves a cleanup time to report the end.
func (b *Bridge) startPruning(every time.Duration) {
	patience := max(2*every, zeroIfOff(b.opts.IdleTimeout))
	b.repeat(context.Background(), every, func() {
		for _, id := range b.clients.Due(time.Now().Add(-patience)) {
			b.recheckSession(id)
		}
	})
}

// repeat runs task in the background at the interval. To end it, end ctx, then remove the deadline.
func (b *Bridge) repeat(ctx context.Context, every time.Duration, task func()) *clock.Deadline {
	next := &clock.Deadline{}
	next.Do = func() {
		b.pools.background.Go(func() {
			defer func() { // also if the task panics
				b.clock.Move(next, time.Now().Add(every))
				if ctx.Err() != nil {
					b.clock.Remove(next)
				}
			}()
			task()
		})
	}
	b.clock.Move(next, time.Now().Add(every))
	return next
}

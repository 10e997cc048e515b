package bridge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// Cleanup removes the sessions that have expired and returns how many they were. It costs in
// proportion to what has expired, with a store that is a store.Sweeper; a store.Lister is looked
// through. ErrUnsupported with a store that is neither.
func (b *Bridge) Cleanup(ctx context.Context) (int, error) {
	start := time.Now()
	n, err := b.gateway.Sweep(ctx)
	err = errors.Join(err, b.tickets.Sweep(ctx))
	if b.events.Active() && (n > 0 || err == nil) {
		b.events.Emit(Cleanup{Cleared: n, Took: time.Since(start)})
	}
	return n, err
}

// autoCleanup is the cleanup that runs by itself.
type autoCleanup struct {
	mu     sync.Mutex
	next   *clock.Deadline
	cancel context.CancelFunc
}

// pruneEvery has the map of clients forget, every now and then, the sessions that are not in the
// store any more although nobody has said so here. It leaves a cleanup the time to say so.
func (b *Bridge) pruneEvery(every time.Duration) {
	patience := max(2*every, zeroIfOff(b.opts.IdleTimeout))
	next := &clock.Deadline{}
	next.Do = func() {
		b.pools.background.Go(func() {
			defer func() { b.clock.Move(next, time.Now().Add(every)) }()
			for _, id := range b.clients.Due(time.Now().Add(-patience)) {
				b.recheckSession(id)
			}
		})
	}
	b.clock.Move(next, time.Now().Add(every))
}

// StartAutoCleanup runs Cleanup in the background, the first time after every, which is at least 1
// ms. It returns false, and changes nothing, when it is running already, or can't.
func (b *Bridge) StartAutoCleanup(every time.Duration) bool {
	a := &b.cleanup
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next != nil || every < time.Millisecond || !b.gateway.CanSweep() || b.work.Stopped() {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	var next *clock.Deadline
	again := func() {
		b.pools.background.Go(func() {
			defer func() { // also if the store panics
				a.mu.Lock()
				defer a.mu.Unlock()
				if ctx.Err() == nil {
					b.clock.Move(next, time.Now().Add(every))
				}
			}()
			if _, err := b.Cleanup(ctx); err != nil && !errors.Is(err, context.Canceled) {
				b.failedAside(ctx, slog.LevelError, Failure{Doing: "clean up", Err: err})
			}
		})
	}
	next = b.clock.Add(time.Now().Add(every), again)
	a.next = next
	return true
}

// StopAutoCleanup ends it, and one that is under way after its current piece. It returns false when
// none was running.
func (b *Bridge) StopAutoCleanup() bool {
	a := &b.cleanup
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == nil {
		return false
	}
	a.cancel()
	b.clock.Remove(a.next)
	a.next, a.cancel = nil, nil
	return true
}

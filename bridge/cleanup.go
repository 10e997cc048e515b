package bridge

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/periodic"
	"github.com/sessionbridge/sessionbridge/internal/ranges"
	"github.com/sessionbridge/sessionbridge/internal/reclaiming"
	"github.com/sessionbridge/sessionbridge/store"
)

// Cleanup removes the expired sessions and returns their number. With a store that is a
// store.Sweeper, the cost is in proportion to this number; a store.Lister is read as a whole.
// ErrUnsupported with a store that is neither.
func (b *Bridge) Cleanup(ctx context.Context) (int, error) {
	start := time.Now()
	n, err := b.gateway.Sweep(ctx)
	err = errors.Join(err, b.tickets.Sweep(ctx))
	if b.imports != nil {
		err = errors.Join(err, b.imports.Sweep(ctx))
	}
	b.reclaim.Cleaned()
	if b.events.Active() && (n > 0 || err == nil) {
		b.events.Emit(Cleanup{Cleared: n, Took: time.Since(start)})
	}
	return n, err
}

// StartAutoCleanup runs Cleanup in the background at this interval; less than MinTimeout is
// MinTimeout. 0 is Options.AutoCleanup, and the default of that if it is Off: as New has set it,
// from an IdleTimeout that SetTimeouts doesn't change. It returns false, and changes nothing, if it
// is running already, after Shutdown, with a negative interval such as Off, and if the store is
// neither a store.Sweeper nor a store.Lister.
func (b *Bridge) StartAutoCleanup(every time.Duration) bool {
	if every == 0 {
		if every = b.opts.AutoCleanup; every == Off {
			every = b.opts.pruneEvery()
		}
	}
	if every < 0 || !b.gateway.CanSweep() {
		return false
	}
	return b.cleanup.Start(min(max(every, MinTimeout), ranges.Most), func(ctx context.Context) {
		if _, err := b.Cleanup(ctx); err != nil && !errors.Is(err, context.Canceled) {
			b.report.FailedAside(ctx, slog.LevelError, "clean up", "", err)
		}
	})
}

// StopAutoCleanup stops the background cleanup. One that is running ends after its current batch.
// It returns false if it was not started.
func (b *Bridge) StopAutoCleanup() bool { return b.cleanup.Stop() }

// newReclaiming returns what calls the store's Optimize; nil with Options.OptimizeAfter 0.
func (b *Bridge) newReclaiming(st store.Store) *reclaiming.Watch {
	optimizer, ok := store.As[store.Optimizer](st)
	if b.opts.OptimizeAfter == 0 || !ok {
		return nil
	}
	return reclaiming.New(reclaiming.Config{
		Share:   b.opts.OptimizeAfter,
		Least:   1000,
		Left:    b.gateway.Count,
		Reclaim: optimizer.Optimize,
		Go:      b.pools.background.Go,
		Failed: func(ctx context.Context, err error) {
			b.report.FailedAside(ctx, slog.LevelError, "reclaim the space of sessions that have ended", "", err)
		},
	})
}

// startPruning has expired sessions rechecked at intervals, so that the map of clients forgets
// those whose end was not notified. It leaves a cleanup time to report the end.
func (b *Bridge) startPruning(every time.Duration) {
	b.periodic().Start(every, func(context.Context) {
		patience := max(2*every, zeroIfOff(b.timeouts.Load().idle))
		b.tracker.Prune(time.Now().Add(-patience))
	})
}

// periodic returns a task of the Bridge that isn't started.
func (b *Bridge) periodic() *periodic.Task {
	return periodic.New(periodic.Config{Clock: b.clock, Go: b.pools.background.Go, Stopped: b.work.Stopped})
}

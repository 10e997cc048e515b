package reclaiming

import (
	"context"
	"math"
	"sync/atomic"
)

// Config is what a Watch needs. All fields are set.
type Config struct {
	// Share is the share of sessions, more than 0 and at most 1, and Least the number, that must
	// have ended.
	Share float64
	Least int64

	// Left returns the number of sessions that the store has, or atMost if there are more.
	Left func(ctx context.Context, atMost int) (int, error)
	// Reclaim reclaims space. It may take long.
	Reclaim func(ctx context.Context) error
	// Go runs a task in the background.
	Go func(task func())
	// Failed is called with an error of Left or Reclaim. The next attempt follows a later cleanup.
	Failed func(ctx context.Context, err error)
}

// Watch counts sessions that end.
type Watch struct {
	cfg     Config
	ctx     context.Context
	stop    context.CancelFunc
	ended   atomic.Int64 // since the last Reclaim
	due     atomic.Int64 // the value of ended from which on Left is called
	running atomic.Bool
}

// New returns a Watch.
func New(cfg Config) *Watch {
	w := &Watch{cfg: cfg}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.due.Store(cfg.Least)
	return w
}

// Ended counts a session that has ended.
func (w *Watch) Ended() {
	if w != nil {
		w.ended.Add(1)
	}
}

// Cleaned follows a cleanup. It doesn't block.
func (w *Watch) Cleaned() {
	if w == nil || w.ended.Load() < w.due.Load() || w.ctx.Err() != nil || !w.running.CompareAndSwap(false, true) {
		return
	}
	w.cfg.Go(func() {
		defer w.running.Store(false)
		ended := w.ended.Load()
		// Otherwise Left would count about the same sessions again after each cleanup.
		w.due.Store(ended + ended/10 + 1)
		enough, err := w.enough(ended)
		if enough && err == nil {
			err = w.cfg.Reclaim(w.ctx)
		}
		if enough && err == nil {
			w.ended.Add(-ended)
		}
		if enough || err != nil {
			w.due.Store(w.cfg.Least)
		}
		if err != nil && w.ctx.Err() == nil {
			w.cfg.Failed(w.ctx, err)
		}
	})
}

// enough reports whether the sessions that have ended are at least the share of them and those that
// are left.
func (w *Watch) enough(ended int64) (bool, error) {
	tooMany := math.Floor(float64(ended)*(1-w.cfg.Share)/w.cfg.Share) + 1 // left
	left, err := w.cfg.Left(w.ctx, int(min(tooMany, math.MaxInt32)))
	return float64(left) < tooMany, err
}

// Stop ends the context of a call that is running, and prevents others.
func (w *Watch) Stop() {
	if w != nil {
		w.stop()
	}
}

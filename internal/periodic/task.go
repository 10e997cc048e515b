package periodic

import (
	"context"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// Config is what a Task needs. Every field is set.
type Config struct {
	Clock   *clock.Clock
	Go      func(run func()) // runs run in a goroutine
	Stopped func() bool      // no task may start any more
}

// Task is run at intervals between Start and Stop.
type Task struct {
	cfg Config

	mu   sync.Mutex
	stop func() // nil: it isn't started
}

// New returns a Task that isn't started.
func New(cfg Config) *Task { return &Task{cfg: cfg} }

// Start runs do at the interval, for the first time after one. It returns false, and does nothing,
// if the Task is started already, or after Config.Stopped.
func (t *Task) Start(every time.Duration, do func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil || t.cfg.Stopped() {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	next := t.repeat(ctx, every, do)
	t.stop = func() {
		cancel()
		t.cfg.Clock.Remove(next)
	}
	return true
}

// Stop ends the runs. It returns false if the Task isn't started.
func (t *Task) Stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop == nil {
		return false
	}
	t.stop()
	t.stop = nil
	return true
}

func (t *Task) repeat(ctx context.Context, every time.Duration, do func(context.Context)) *clock.Deadline {
	next := &clock.Deadline{}
	next.Do = func() {
		t.cfg.Go(func() {
			defer func() { // also if it panics
				t.cfg.Clock.Move(next, time.Now().Add(every))
				if ctx.Err() != nil { // Stop may have removed it before
					t.cfg.Clock.Remove(next)
				}
			}()
			do(ctx)
		})
	}
	t.cfg.Clock.Move(next, time.Now().Add(every))
	return next
}

package heartbeat

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// Wait is how long a call may take, and the client to answer a ping.
const Wait = 10 * time.Second

// tick is how late a beat may be.
const tick = 250 * time.Millisecond

// ErrPanicked is the failure of a function that has panicked, or ended its goroutine.
var ErrPanicked = errors.New("bridge: the function that writes to the client has panicked")

var errTooLong = errors.New("bridge: the heartbeat took longer than 10 s")

// Plan has d run at the offset on the clock, rounded up to the next tick.
func Plan(c *clock.Clock, d *clock.Deadline, at time.Duration) {
	c.Move(d, c.Time(at.Truncate(tick)+tick))
}

// Config is what a Beat calls, and how. All fields are set.
type Config struct {
	Clock *clock.Clock
	Group *workers.Group
	Every time.Duration
	Call  func(ctx context.Context) error
	Fail  func(err error) // the connection is lost; may be called several times, and must not block
}

// Beat calls a function at intervals. It is safe for concurrent use.
type Beat struct {
	cfg  Config
	ctx  context.Context // of the connection
	next clock.Deadline

	mu      sync.Mutex
	stopped bool
	done    chan struct{} // closed when the call that runs has returned; nil: none runs
}

// New returns a Beat of the connection whose context is ctx.
func New(ctx context.Context, cfg Config) *Beat {
	h := &Beat{cfg: cfg, ctx: ctx}
	h.next.Do = h.beat
	return h
}

// Start plans the first call. It does nothing after Stop or the end of the connection.
func (h *Beat) Start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over() {
		Plan(h.cfg.Clock, &h.next, h.cfg.Clock.Now()+h.cfg.Every)
	}
}

// over reports whether there are no more calls. The lock is held.
func (h *Beat) over() bool { return h.stopped || h.ctx.Err() != nil }

// beat runs on the clock's goroutine.
func (h *Beat) beat() {
	h.Start()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over() && h.done == nil {
		h.done = make(chan struct{})
		h.cfg.Group.Go(h.run)
	}
}

// run calls the function once.
func (h *Beat) run() {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	limit := h.cfg.Clock.Add(time.Now().Add(Wait), func() {
		h.cfg.Fail(errTooLong)
		cancel()
	})
	err := ErrPanicked
	defer func() {
		h.cfg.Clock.Remove(limit)
		if err != nil {
			h.cfg.Fail(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		close(h.done)
		h.done = nil
	}()
	err = h.cfg.Call(ctx)
}

// Stop ends the calls, and waits for one that runs. A nil Beat has none.
func (h *Beat) Stop() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.stopped = true
	done := h.done
	h.mu.Unlock()
	h.cfg.Clock.Remove(&h.next)
	if done != nil {
		<-done
	}
}

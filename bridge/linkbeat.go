package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// defaultBeat is Link.Heartbeat's interval unless it is given another.
const defaultBeat = 30 * time.Second

// errCallFailed: a function of a link's has panicked, or ended its goroutine.
var errCallFailed = errors.New("bridge: the function that writes to the client has panicked")

// errNoBeat: the function of a link's heartbeat has not come back in time.
var errNoBeat = errors.New("bridge: the heartbeat took longer than 10 s")

// Heartbeat has beat called every so often, for the first time after that time; 0 is 30 s. It is for a ping, or a comment of an event stream: proxies cut what is silent for long, and a
// client that has vanished is noticed by what is sent to it. One call runs at a time, in a goroutine of its own, and its ctx ends after 10 s or with the link.
//
// An error, a panic, or a call that takes longer than 10 s ends the link: its context ends, OnConnClose reports -1, and the close function that Attach was given is called with CodeFailed. beat needs the library's rule about
// writers, as the function of OnNotify does. After Detach, which waits for a call that runs, it is not called any more; so beat must not call Detach.
//
// A second call of Heartbeat replaces the first; a nil beat ends it. A Conn has a heartbeat of its own: ConnOptions.Heartbeat.
func (l *Link) Heartbeat(every time.Duration, beat func(ctx context.Context) error) {
	if every <= 0 {
		every = defaultBeat
	}
	var h *linkBeat
	if beat != nil {
		h = &linkBeat{link: l, every: every, fn: beat}
		h.pulse.Do = h.beat
	}
	l.mu.Lock()
	before := l.heart
	l.heart = h
	l.mu.Unlock()
	if before != nil {
		before.stop()
	}
	if h != nil {
		h.plan(l.b.clock.Now())
	}
}

// linkBeat is the heartbeat of a link.
type linkBeat struct {
	link  *Link
	every time.Duration
	fn    func(context.Context) error
	pulse clock.Deadline

	mu      sync.Mutex
	stopped bool
	done    chan struct{} // closed when the call that runs has returned; nil: none runs
}

// plan has the next beat come, unless the link is over.
func (h *linkBeat) plan(now time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped && h.link.ctx.Err() == nil {
		h.link.b.planBeat(&h.pulse, now+h.every)
	}
}

// beat runs on the clock's goroutine. A call that still runs takes the place of the one that is due.
func (h *linkBeat) beat() {
	h.plan(h.link.b.clock.Now())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped || h.done != nil || h.link.ctx.Err() != nil {
		return
	}
	h.done = make(chan struct{})
	h.link.b.work.Go(h.run)
}

// run calls the application's function once.
func (h *linkBeat) run() {
	l := h.link
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	limit := l.b.clock.Add(time.Now().Add(pongWait), func() {
		l.fail(errNoBeat)
		cancel()
	})
	err := errCallFailed
	defer func() {
		l.b.clock.Remove(limit)
		if err != nil {
			l.fail(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		close(h.done)
		h.done = nil
	}()
	err = h.fn(ctx)
}

// stop ends it, and waits for a call that runs.
func (h *linkBeat) stop() {
	h.mu.Lock()
	h.stopped = true
	done := h.done
	h.mu.Unlock()
	h.link.b.clock.Remove(&h.pulse)
	if done != nil {
		<-done
	}
}

// stopHeart is for a link that is detached.
func (l *Link) stopHeart() {
	l.mu.Lock()
	h := l.heart
	l.mu.Unlock()
	if h != nil {
		h.stop()
	}
}

// fail ends a link whose client can't be reached.
func (l *Link) fail(err error) {
	if l.isEnding() {
		return
	}
	l.cancel(fmt.Errorf("%w: %w", errConnClosed, err))
	if l.beginEnd(codeClosedByPeer, "") {
		l.b.work.Go(func() { l.close(CodeFailed, "the client could not be reached") })
	}
}

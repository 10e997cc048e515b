package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// eventQueue is how many events a callback may be behind before it misses some.
const eventQueue = 1024

// hub hands events to subscribers. It never waits for one: each has a queue of its own, and misses what doesn't fit.
type hub struct {
	mu       sync.Mutex
	closed   bool
	subs     atomic.Pointer[[]*subscriber] // replaced, never changed
	running  sync.WaitGroup                // the callbacks' goroutines
	dropped  atomic.Uint64
	rejected atomic.Uint64 // dropped ones of the kind that strangers cause
	logger   *slog.Logger
}

type subscriber struct {
	wants   func(Event) bool
	mu      sync.Mutex // makes closing the queue safe from senders
	queue   chan Event // nil when closed; it has room for size events and a Missed
	size    int
	missing int // events that it has missed since the last one in the queue
}

func (h *hub) active() bool {
	subs := h.subs.Load()
	return subs != nil && len(*subs) > 0
}

// emit enqueues ev for each subscriber that wants it.
func (h *hub) emit(ev Event) {
	subs := h.subs.Load()
	if subs == nil {
		return
	}
	_, strange := ev.(CredentialRejected)
	for _, s := range *subs {
		switch {
		case !s.wants(ev):
		case strange:
			if !s.sendRejected(ev) {
				h.rejected.Add(1)
			}
		case !s.send(ev):
			h.dropped.Add(1)
		}
	}
}

// send reports whether the event found room, or nobody waits for it any more. The first one that does after others that didn't comes behind a Missed.
func (s *subscriber) send(ev Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == nil {
		return true
	}
	if len(s.queue) >= s.size { // senders are the only ones that make it longer, and hold the lock
		s.missing++
		return false
	}
	if s.missing > 0 {
		if missed := (Missed{s.missing}); s.wants(missed) {
			s.queue <- missed
		}
		s.missing = 0
	}
	s.queue <- ev
	return true
}

// sendRejected is send for what strangers can cause, as much of it as they like: it takes a quarter of the queue at most, so that it never
// costs a place that another event needs, and is none of those that a Missed counts.
func (s *subscriber) sendRejected(ev Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == nil {
		return true
	}
	if len(s.queue) >= (s.size+3)/4 {
		return false
	}
	s.queue <- ev
	return true
}

// missedLast returns what a subscriber that has emptied its queue has missed behind the last event: another one, which would say so, may be long in coming.
func (s *subscriber) missedLast(queue <-chan Event) (missed Missed, some bool) {
	if len(queue) > 0 {
		return missed, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	missed.Events = s.missing
	if missed.Events == 0 || len(queue) > 0 || !s.wants(missed) {
		return missed, false
	}
	s.missing = 0
	return missed, true
}

func (s *subscriber) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		close(s.queue)
		s.queue = nil
	}
}

// add registers a subscriber; nil when the hub is closed.
func (h *hub) add(wants func(Event) bool, buffer int, run func(*subscriber, <-chan Event)) *subscriber {
	s := &subscriber{wants: wants, queue: make(chan Event, buffer+1), size: buffer}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	var subs []*subscriber
	if old := h.subs.Load(); old != nil {
		subs = slices.Clone(*old)
	}
	subs = append(subs, s)
	h.subs.Store(&subs)
	if run != nil {
		h.consume(s, s.queue, run)
	}
	return s
}

// consume runs a callback's goroutine, and another one if the callback ends it (runtime.Goexit, as a test's FailNow does).
func (h *hub) consume(s *subscriber, queue <-chan Event, run func(*subscriber, <-chan Event)) {
	h.running.Go(func() {
		done := false
		defer func() {
			if !done {
				h.logger.Error("event callback has ended its goroutine: another one goes on")
				h.consume(s, queue, run)
			}
		}()
		run(s, queue)
		done = true
	})
}

func (h *hub) remove(s *subscriber) {
	h.mu.Lock()
	if old := h.subs.Load(); old != nil {
		subs := slices.DeleteFunc(slices.Clone(*old), func(o *subscriber) bool { return o == s })
		h.subs.Store(&subs)
	}
	h.mu.Unlock()
	s.close()
}

// close ends every subscription: what is in the queues is still delivered.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	subs := h.subs.Swap(nil)
	h.mu.Unlock()
	if subs != nil {
		for _, s := range *subs {
			s.close()
		}
	}
}

// on runs fn for each event of type E, in a goroutine of its own.
func on[E Event](h *hub, fn func(E)) (off func()) {
	return h.observe(
		func(ev Event) bool { _, ok := ev.(E); return ok },
		func(ev Event) { fn(ev.(E)) },
	)
}

// observe runs fn for each event that it wants, one after the other, in a goroutine of its own.
func (h *hub) observe(wants func(Event) bool, fn func(Event)) (off func()) {
	var ended atomic.Bool
	s := h.add(wants, eventQueue, func(s *subscriber, queue <-chan Event) {
		for ev := range queue {
			if !ended.Load() {
				h.call(fn, ev)
			}
			if missed, some := s.missedLast(queue); some && !ended.Load() {
				h.call(fn, missed)
			}
		}
	})
	if s == nil {
		return func() {}
	}
	return func() { ended.Store(true); h.remove(s) }
}

// call keeps a panic of a callback to itself.
func (h *hub) call(fn func(Event), ev Event) {
	defer func() {
		if p := recover(); p != nil {
			logPanic(context.Background(), h.logger, "event callback panicked", p, string(debug.Stack()), slog.String("event", fmt.Sprintf("%T", ev))) // no Failure: this callback may be of these
		}
	}()
	fn(ev)
}

// OnSessionSet calls fn after each session that was stored or attached, until off is called. The events of one session come
// in the order of its commits; fn runs in a goroutine of its own, perhaps after the response has gone, and hurts nobody by
// blocking or panicking: when it is 1024 events behind it misses some, which Stats counts. So for every On….
//
// Two callbacks have two queues: nothing is promised about the order between them, and the end of a session may arrive before its beginning. To
// follow a session, a user or a connection through events of several kinds use Observe.
func (b *Bridge) OnSessionSet(fn func(SessionSet)) (off func()) { return on(&b.events, fn) }

// OnSessionDestroy calls fn after each session that ended.
func (b *Bridge) OnSessionDestroy(fn func(SessionDestroy)) (off func()) { return on(&b.events, fn) }

// OnCleanup calls fn after each removal of expired sessions.
func (b *Bridge) OnCleanup(fn func(Cleanup)) (off func()) { return on(&b.events, fn) }

// OnConnOpen calls fn after each connection that was opened.
func (b *Bridge) OnConnOpen(fn func(ConnOpen)) (off func()) { return on(&b.events, fn) }

// OnConnClose calls fn after each connection that was closed.
func (b *Bridge) OnConnClose(fn func(ConnClose)) (off func()) { return on(&b.events, fn) }

// Subscribe returns a channel of all events from now on, in the order that Observe has them. It is closed when ctx ends or the Bridge is shut down. Events that
// don't fit into the buffer are dropped and counted in Stats, and the next one that does comes behind a Missed; a buffer under 1 is 1.
func (b *Bridge) Subscribe(ctx context.Context, buffer int) <-chan Event {
	s := b.events.add(func(Event) bool { return true }, max(1, buffer), nil)
	if s == nil {
		closed := make(chan Event)
		close(closed)
		return closed
	}
	s.mu.Lock()
	queue := s.queue
	s.mu.Unlock()
	if queue == nil { // shut down since
		queue = make(chan Event)
		close(queue)
	}
	context.AfterFunc(ctx, func() { b.events.remove(s) })
	return queue
}

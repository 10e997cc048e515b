package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
)

// eventQueue is how many events a callback may be behind before it misses some.
const eventQueue = 1024

// hub hands events to subscribers. It never waits for one: each has a queue of its own, and misses what doesn't fit.
type hub struct {
	mu      sync.Mutex
	closed  bool
	subs    atomic.Pointer[[]*subscriber] // replaced, never changed
	running sync.WaitGroup                // the callbacks' goroutines
	dropped atomic.Uint64
	logger  *slog.Logger
}

type subscriber struct {
	wants func(Event) bool
	mu    sync.Mutex // makes closing the queue safe from senders
	queue chan Event // nil when closed
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
	for _, s := range *subs {
		if s.wants(ev) {
			s.send(ev, &h.dropped)
		}
	}
}

func (s *subscriber) send(ev Event, dropped *atomic.Uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == nil {
		return
	}
	select {
	case s.queue <- ev:
	default:
		dropped.Add(1)
	}
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
func (h *hub) add(wants func(Event) bool, buffer int, run func(<-chan Event)) *subscriber {
	s := &subscriber{wants: wants, queue: make(chan Event, buffer)}
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
		queue := s.queue
		h.running.Go(func() { run(queue) })
	}
	return s
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
	var ended atomic.Bool
	wants := func(ev Event) bool { _, ok := ev.(E); return ok }
	s := h.add(wants, eventQueue, func(queue <-chan Event) {
		for ev := range queue {
			if !ended.Load() {
				call(h, fn, ev.(E))
			}
		}
	})
	if s == nil {
		return func() {}
	}
	return func() { ended.Store(true); h.remove(s) }
}

// call keeps a panic of a callback to itself.
func call[E Event](h *hub, fn func(E), ev E) {
	defer func() {
		if p := recover(); p != nil {
			logPanic(context.Background(), h.logger, "event callback panicked", p, slog.String("event", fmt.Sprintf("%T", ev))) // no Failure: this callback may be of these
		}
	}()
	fn(ev)
}

// OnSessionSet calls fn after each session that was stored or attached, until off is called. The events of one session come
// in the order of its commits; fn runs in a goroutine of its own, perhaps after the response has gone, and hurts nobody by
// blocking or panicking: when it is 1024 events behind it misses some, which Stats counts. So for every On….
func (b *Bridge) OnSessionSet(fn func(SessionSet)) (off func()) { return on(&b.events, fn) }

// OnSessionDestroy calls fn after each session that ended.
func (b *Bridge) OnSessionDestroy(fn func(SessionDestroy)) (off func()) { return on(&b.events, fn) }

// OnCleanup calls fn after each removal of expired sessions.
func (b *Bridge) OnCleanup(fn func(Cleanup)) (off func()) { return on(&b.events, fn) }

// OnConnOpen calls fn after each connection that was opened.
func (b *Bridge) OnConnOpen(fn func(ConnOpen)) (off func()) { return on(&b.events, fn) }

// OnConnClose calls fn after each connection that was closed.
func (b *Bridge) OnConnClose(fn func(ConnClose)) (off func()) { return on(&b.events, fn) }

// Subscribe returns a channel of all events from now on. It is closed when ctx ends or the Bridge is shut down. Events that don't
// fit into the buffer are dropped and counted in Stats; a buffer under 1 is 1.
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

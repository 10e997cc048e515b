package pubsub

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Config is how a Hub treats events of type E. Every function must be set.
type Config[E any] struct {
	Missed   func(events int) E    // the event in place of so many that a subscriber has missed
	Confined func(ev E) bool       // whether ev may take only a quarter of a queue
	Panicked func(ev E, value any) // a callback has panicked with value
	Exited   func()                // a callback has ended its goroutine; another one goes on
}

// Hub hands events to subscribers. It is safe for concurrent use. Make it with New.
type Hub[E any] struct {
	config Config[E]

	mu     sync.Mutex // held to change what follows
	closed bool
	subs   atomic.Pointer[[]*subscriber[E]] // replaced, never changed

	running  sync.WaitGroup // the callbacks' goroutines
	dropped  atomic.Uint64
	confined atomic.Uint64 // dropped ones for which Config.Confined is true
}

// New returns a Hub without subscribers.
func New[E any](c Config[E]) *Hub[E] { return &Hub[E]{config: c} }

// Active reports whether there are subscribers: an event need not be composed if there are none.
func (h *Hub[E]) Active() bool {
	subs := h.subs.Load()
	return subs != nil && len(*subs) > 0
}

// Emit enqueues ev for each subscriber that wants it, behind what was emitted before. It doesn't
// wait.
func (h *Hub[E]) Emit(ev E) {
	subs := h.subs.Load()
	if subs == nil {
		return
	}
	confined := h.config.Confined(ev)
	for _, s := range *subs {
		switch {
		case !s.wants(ev):
		case confined:
			if !s.sendConfined(ev) {
				h.confined.Add(1)
			}
		case !s.send(ev):
			h.dropped.Add(1)
		}
	}
}

// Dropped returns the number of events that found a queue full, once for each queue, without the
// confined ones.
func (h *Hub[E]) Dropped() uint64 { return h.dropped.Load() }

// DroppedConfined is Dropped of the confined events.
func (h *Hub[E]) DroppedConfined() uint64 { return h.confined.Load() }

// Subscribe returns a channel of the events for which wants returns true, from now on. The queue
// holds room events. off ends the subscription and closes the channel; it may be called more than
// once. The channel of a closed Hub is closed.
func (h *Hub[E]) Subscribe(wants func(E) bool, room int) (events <-chan E, off func()) {
	s := newSubscriber(h, wants, room)
	queue := s.queue
	if !h.add(s, nil) {
		s.close()
	}
	return queue, func() { h.remove(s) }
}

// Observe calls fn with each event for which wants returns true, from now on, one at a time, in a
// goroutine of its own. The queue holds room events. off ends that: a call that is under way runs
// to its end, and no other one begins. A closed Hub never calls fn.
func (h *Hub[E]) Observe(wants func(E) bool, room int, fn func(E)) (off func()) {
	s := newSubscriber(h, wants, room)
	c := &consumer[E]{subscriber: s, events: s.queue, fn: fn}
	h.add(s, c)
	return func() {
		c.off.Store(true)
		h.remove(s)
	}
}

// add registers s, and starts the goroutine of its callback if it has one; false if the Hub is
// closed.
func (h *Hub[E]) add(s *subscriber[E], callback *consumer[E]) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	var subs []*subscriber[E]
	if old := h.subs.Load(); old != nil {
		subs = slices.Clone(*old)
	}
	subs = append(subs, s)
	h.subs.Store(&subs)
	if callback != nil {
		callback.start()
	}
	return true
}

func (h *Hub[E]) remove(s *subscriber[E]) {
	h.mu.Lock()
	if old := h.subs.Load(); old != nil {
		subs := slices.DeleteFunc(slices.Clone(*old), func(o *subscriber[E]) bool { return o == s })
		h.subs.Store(&subs)
	}
	h.mu.Unlock()
	s.close()
}

// Close ends every subscription and refuses new ones. It doesn't wait for callbacks: Wait does.
func (h *Hub[E]) Close() {
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

// Wait waits until the callbacks of a closed Hub have returned from their last event.
func (h *Hub[E]) Wait() { h.running.Wait() }

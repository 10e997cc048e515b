package pubsub

import "sync"

// subscriber is a queue of events.
type subscriber[E any] struct {
	hub   *Hub[E]
	wants func(E) bool
	room  int // events that may wait

	mu     sync.Mutex // senders hold it: none sends to a closed queue
	queue  chan E     // nil when closed; it has a place more than room, for a Missed
	missed int        // events dropped since the last one in the queue
}

func newSubscriber[E any](h *Hub[E], wants func(E) bool, room int) *subscriber[E] {
	return &subscriber[E]{hub: h, wants: wants, room: room, queue: make(chan E, room+1)}
}

// send reports whether the event fits into the queue, or the subscription has ended. After events
// that didn't fit, a Missed precedes the next one that does.
func (s *subscriber[E]) send(ev E) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == nil {
		return true
	}
	if len(s.queue) >= s.room { // only senders make it longer, and they hold the lock
		s.missed++
		return false
	}
	if s.missed > 0 {
		if missed := s.hub.config.Missed(s.missed); s.wants(missed) {
			s.queue <- missed
		}
		s.missed = 0
	}
	s.queue <- ev
	return true
}

// sendConfined is send for an event that may take only a quarter of the queue, rounded up. One that
// is dropped is not counted in a Missed.
func (s *subscriber[E]) sendConfined(ev E) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == nil {
		return true
	}
	if len(s.queue) >= (s.room+3)/4 {
		return false
	}
	s.queue <- ev
	return true
}

// takeMissed returns the Missed of a subscriber that has emptied its queue and has missed events.
// The next event, which would otherwise bring it, may come late.
func (s *subscriber[E]) takeMissed(queue <-chan E) (missed E, ok bool) {
	if len(queue) > 0 {
		return missed, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.missed == 0 || len(queue) > 0 {
		return missed, false
	}
	if missed = s.hub.config.Missed(s.missed); !s.wants(missed) {
		return missed, false
	}
	s.missed = 0
	return missed, true
}

func (s *subscriber[E]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		close(s.queue)
		s.queue = nil
	}
}

package outbox

import (
	"runtime"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

const (
	stuckAfter  = 5 * time.Millisecond // how long a write may take before its worker is replaced
	maxReplaced = 128                  // workers that are replaced at once
)

// Sender sends the messages of queues. It starts workers while messages wait, and replaces those
// whose write blocks, so that a connection that takes nothing delays no other.
type Sender struct {
	clock *clock.Clock
	group *workers.Group

	mu       sync.Mutex
	waiting  Batch // queues that wait for a worker
	workers  map[*worker]struct{}
	checking bool // a call of check is planned
}

// worker is a goroutine that sends.
type worker struct{ since time.Time } // when it took its queue; guarded by Sender.mu

// NewSender returns a Sender without workers. They are goroutines of the group, which also reports
// the panics of write functions.
func NewSender(clock *clock.Clock, group *workers.Group) *Sender {
	return &Sender{clock: clock, group: group, workers: make(map[*worker]struct{})}
}

// Wake has the messages of the batch's queues sent. The batch must not be used afterwards.
func (s *Sender) Wake(batch *Batch) {
	if batch.first == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.append(*batch)
	s.staff(0)
}

// staff starts workers until there are enough besides those that are stuck: one for each queue that
// waits, up to GOMAXPROCS or as many as are stuck. Waiting queues may block as well, and a thousand
// such queues must not be discovered one by one. The lock is held.
func (s *Sender) staff(stuck int) {
	needed, limit := 0, max(min(stuck, maxReplaced), runtime.GOMAXPROCS(0))
	for q := s.waiting.first; q != nil && needed < limit; q = q.next {
		needed++
	}
	for len(s.workers)-stuck < needed {
		w := &worker{since: time.Now()}
		s.workers[w] = struct{}{}
		s.group.Go(func() { s.run(w) })
	}
	if !s.checking {
		s.checking = true
		s.clock.Add(time.Now().Add(stuckAfter), s.check)
	}
}

// check replaces workers that are stuck while queues wait.
func (s *Sender) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checking = false
	if s.waiting.first == nil {
		return
	}
	stuck, now := 0, time.Now()
	for w := range s.workers {
		if now.Sub(w.since) >= stuckAfter {
			stuck++
		}
	}
	s.staff(stuck)
}

// run sends until no queue waits.
func (s *Sender) run(w *worker) {
	var q *Queue
	defer func() {
		if q != nil { // the write function has ended the goroutine
			q.Close()
			for ok := true; ok; { // drops a final message that has come since
				_, _, ok = q.take()
			}
			s.resign(w)
		}
	}()
	for {
		if q = s.nextQueue(w); q == nil {
			return
		}
		s.drain(q)
	}
}

// nextQueue returns a queue for the worker; without one the worker ends.
func (s *Sender) nextQueue(w *worker) *Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.waiting.remove()
	if q == nil {
		delete(s.workers, w)
		return nil
	}
	w.since = time.Now()
	return q
}

// resign removes a worker whose goroutine ends early, and replaces it if queues wait.
func (s *Sender) resign(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.workers, w)
	if s.waiting.first != nil {
		s.staff(0)
	}
}

// drain sends the messages of the queue until it is empty.
func (s *Sender) drain(q *Queue) {
	for {
		m, send, ok := q.take()
		if !ok {
			return
		}
		if !s.write(send, m) {
			q.Close()
		}
	}
}

// write writes one message. A panic of the write function counts as its failure.
func (s *Sender) write(send func(*Message) error, m *Message) (ok bool) {
	s.group.Protect(func() { ok = send(m) == nil })
	return ok
}

package bridge

import (
	"runtime"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/internal/workers"
)

// notifier empties outboxes. A few workers do as long as connections take what they are sent; for one that doesn't there is another worker, so that it delays nobody but
// itself. There are none while nothing waits.
type notifier struct {
	work  *workers.Group
	clock *clock.Clock

	mu          sync.Mutex
	first, last *outbox // that wait for a worker
	workers     map[*sender]struct{}
	look        *clock.Deadline // while there are workers
}

// sender is a worker.
type sender struct{ since time.Time } // when it began to send what it is sending; guarded by the notifier's mu

func (n *notifier) init(w *workers.Group, clock *clock.Clock) {
	n.work, n.clock = w, clock
	n.workers = make(map[*sender]struct{})
}

// wake has the box emptied.
func (n *notifier) wake(o *outbox) { n.wakeAll(o, o) }

// wakeAll has the boxes emptied that are linked from first to last.
func (n *notifier) wakeAll(first, last *outbox) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil {
		n.first = first
	} else {
		n.last.nextBox = first
	}
	n.last = last
	n.staff(0)
}

// mostReplaced is how many workers are put to work at once in place of those that are stuck.
const mostReplaced = 128

// staff sees to it that there are workers enough, besides those that are stuck: as many again, as those who wait may be no better, and a thousand that get stuck
// at once are not to be found out one by one. It needs the lock.
func (n *notifier) staff(stuck int) {
	waiting, most := 0, max(min(stuck, mostReplaced), runtime.GOMAXPROCS(0))
	for o := n.first; o != nil && waiting < most; o = o.nextBox {
		waiting++
	}
	for len(n.workers)-stuck < waiting {
		s := &sender{since: time.Now()}
		n.workers[s] = struct{}{}
		n.work.Go(func() { n.run(s) })
	}
	if n.look == nil {
		n.look = n.clock.Add(time.Now().Add(stuckAfter), n.check)
	}
}

// check replaces workers that are stuck, as long as something waits.
func (n *notifier) check() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.look = nil
	if n.first == nil {
		return
	}
	stuck, now := 0, time.Now()
	for s := range n.workers {
		if now.Sub(s.since) >= stuckAfter {
			stuck++
		}
	}
	n.staff(stuck)
}

// run empties boxes until there are no more.
func (n *notifier) run(s *sender) {
	var o *outbox
	defer func() {
		if o != nil { // an application's function has ended the goroutine
			o.drop()
			for ok := true; ok; { // a last message may have come since
				_, ok = o.next()
			}
			n.resign(s)
		}
	}()
	for {
		n.mu.Lock()
		o = n.first
		if o == nil {
			delete(n.workers, s)
			n.mu.Unlock()
			return
		}
		if n.first = o.nextBox; n.first == nil {
			n.last = nil
		}
		o.nextBox = nil
		s.since = time.Now()
		n.mu.Unlock()
		n.empty(o)
	}
}

// resign takes a worker off the list that leaves before its time, and sees to what waits.
func (n *notifier) resign(s *sender) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.workers, s)
	if n.first != nil {
		n.staff(0)
	}
}

// empty sends what is in the box, for as long as something comes into it.
func (n *notifier) empty(o *outbox) {
	for {
		m, ok := o.next()
		if !ok {
			return
		}
		if !n.send(o, m) {
			o.drop()
		}
	}
}

// send keeps a panic of an application's function to itself.
func (n *notifier) send(o *outbox, m *message) (ok bool) {
	n.work.Protect(func() { ok = o.send(m) == nil })
	return ok
}

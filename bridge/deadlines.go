package bridge

import (
	"container/heap"
	"sync"
	"time"
)

// deadlines is the one clock of a Bridge: expiries, delayed closes, write limits and cleanups wait for one goroutine and one timer, however many connections
// there are.
//
// What is so much later than now waits as long as that, whatever is done to the clock on the wall meanwhile. What is at a time of the wall, as a session's expiry is,
// comes when the clock says so.
type deadlines struct {
	mu   sync.Mutex
	heap [2]deadlineHeap // of times that are monotonic, and of the wall's: they can't be compared with one another
	wake chan struct{}   // something came to the front
	stop chan struct{}
	done chan struct{}
}

// deadline is something to be done at a time. What it does must not block: it runs while every other deadline waits.
type deadline struct {
	at    time.Time
	do    func()
	index int32 // in its heap, -1 when not in it
	wall  bool  // it is in the second
}

func newDeadlines() *deadlines {
	d := &deadlines{wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go d.run()
	return d
}

// add has do called at the time. The result can be moved and removed.
func (d *deadlines) add(at time.Time, do func()) *deadline {
	e := &deadline{do: do, index: -1}
	d.move(e, at)
	return e
}

// move gives e another time; one that has passed or was removed comes back.
func (d *deadlines) move(e *deadline, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wall := at == at.Round(0) //nolint:staticcheck // not Equal: a time without a monotonic part is the one that stays as it is
	if e.index >= 0 && e.wall != wall {
		heap.Remove(d.of(e), int(e.index))
	}
	e.at, e.wall = at, wall
	if e.index < 0 {
		heap.Push(d.of(e), e)
	} else {
		heap.Fix(d.of(e), int(e.index))
	}
	if e.index == 0 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// of returns the heap that e belongs into.
func (d *deadlines) of(e *deadline) *deadlineHeap {
	if e.wall {
		return &d.heap[1]
	}
	return &d.heap[0]
}

// remove takes e back, if it isn't due yet.
func (d *deadlines) remove(e *deadline) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e != nil && e.index >= 0 {
		heap.Remove(d.of(e), int(e.index))
	}
}

// later reports whether e is not planned, or planned after the time.
func (d *deadlines) later(e *deadline, at time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return e.index < 0 || e.at.After(at)
}

// close stops the clock and waits for what it is doing.
func (d *deadlines) close() {
	close(d.stop)
	<-d.done
}

// maxWait is how late a deadline may be when the clock was set forward, or the machine slept.
const maxWait = time.Minute

func (d *deadlines) run() {
	defer close(d.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var due <-chan time.Time // nil while nothing is planned
		if wait, planned := d.runDue(); planned {
			timer.Reset(min(wait, maxWait))
			due = timer.C
		}
		select {
		case <-due:
		case <-d.wake:
		case <-d.stop:
			return
		}
	}
}

// runDue does what is due and returns for how long there is nothing more to do; false when nothing is planned.
func (d *deadlines) runDue() (wait time.Duration, planned bool) {
	for {
		var due *deadline
		if due, wait, planned = d.next(); due == nil {
			return wait, planned
		}
		due.do()
	}
}

// next takes out what is due, or returns for how long nothing is.
func (d *deadlines) next() (due *deadline, wait time.Duration, planned bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.heap {
		if len(d.heap[i]) == 0 {
			continue
		}
		left := time.Until(d.heap[i][0].at)
		if left <= 0 {
			return heap.Pop(&d.heap[i]).(*deadline), 0, true //nolint:forcetypeassert // nothing else is in there
		}
		if !planned || left < wait {
			wait, planned = left, true
		}
	}
	return nil, wait, planned
}

type deadlineHeap []*deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i), int32(j) //nolint:gosec // no process has two billion
}

// Push implements heap.Interface.
func (h *deadlineHeap) Push(x any) {
	e := x.(*deadline)
	e.index = int32(len(*h)) //nolint:gosec // likewise
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *deadlineHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}

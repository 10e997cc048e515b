package bridge

import (
	"container/heap"
	"sync"
	"time"
)

// deadlines is the one clock of a Bridge: expiries, delayed closes, write limits and cleanups wait in one heap, for one
// goroutine and one timer, however many connections there are.
type deadlines struct {
	mu   sync.Mutex
	heap deadlineHeap
	wake chan struct{} // something came to the front
	stop chan struct{}
	done chan struct{}
}

// deadline is something to be done at a time. What it does must not block: it runs while every other deadline waits.
type deadline struct {
	at    time.Time
	do    func()
	index int // in the heap, -1 when not in it
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
	e.at = at.Round(0) // of the wall, as expiries are: monotonic times can't be compared with them
	if e.index < 0 {
		heap.Push(&d.heap, e)
	} else {
		heap.Fix(&d.heap, e.index)
	}
	if e.index == 0 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// remove takes e back, if it isn't due yet.
func (d *deadlines) remove(e *deadline) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e != nil && e.index >= 0 {
		heap.Remove(&d.heap, e.index)
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
func (d *deadlines) runDue() (time.Duration, bool) {
	for {
		d.mu.Lock()
		if len(d.heap) == 0 {
			d.mu.Unlock()
			return 0, false
		}
		e := d.heap[0]
		if wait := time.Until(e.at); wait > 0 {
			d.mu.Unlock()
			return wait, true
		}
		heap.Pop(&d.heap)
		d.mu.Unlock()
		e.do()
	}
}

type deadlineHeap []*deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *deadlineHeap) Push(x any) {
	e := x.(*deadline)
	e.index = len(*h)
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

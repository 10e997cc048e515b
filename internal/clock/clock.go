package clock

import (
	"sync"
	"time"
)

// maxSleep limits how late a deadline of the wall clock is noticed after that clock was set forward
// or the machine was suspended.
const maxSleep = time.Minute

// Clock runs the functions of deadlines. It is safe for concurrent use. Close stops it.
type Clock struct {
	epoch time.Time // when the Clock was made

	mu        sync.Mutex
	monotonic queue // deadlines whose times have a monotonic reading
	wall      queue // the others: the two kinds can't be compared with each other

	wake chan struct{} // a deadline came to the front of a queue
	stop chan struct{}
	done chan struct{}
}

// Deadline is a function and the time at which a Clock calls it. The zero value with Do set is
// ready to be planned by Clock.Move. It must not be copied, and belongs to one Clock.
type Deadline struct {
	Do func() // must not block; not changed after the first Move

	at     time.Duration // since the Clock's epoch
	index  int32         // in its queue, counted from 1; 0: not planned
	onWall bool          // planned in Clock.wall
}

// New returns a running Clock.
func New() *Clock {
	c := &Clock{
		epoch: time.Now(),
		wake:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	go c.run()
	return c
}

// Now returns how much time has passed since the Clock was made, by the monotonic clock.
func (c *Clock) Now() time.Duration { return time.Since(c.epoch) }

// Offset returns the value that Now has at the given time; it is negative before the Clock was
// made.
func (c *Clock) Offset(at time.Time) time.Duration { return at.Sub(c.epoch) }

// Time returns the time, with a monotonic reading, at which Now is the offset.
func (c *Clock) Time(offset time.Duration) time.Time { return c.epoch.Add(offset) }

// Add plans a new Deadline that calls do at the given time.
func (c *Clock) Add(at time.Time, do func()) *Deadline {
	d := &Deadline{Do: do}
	c.Move(d, at)
	return d
}

// Move plans d for another time, or again if it has run or was removed.
func (c *Clock) Move(d *Deadline, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	onWall := at == at.Round(0) //nolint:staticcheck // not Equal: asks whether at has a monotonic reading
	if d.index != 0 && d.onWall != onWall {
		c.queueOf(d).remove(d)
	}
	d.onWall = onWall
	if d.at = at.Sub(c.epochOf(d)); c.queueOf(d).put(d) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// Remove cancels d. It does nothing if d is nil or not planned, and doesn't wait for its function
// if that is running.
func (c *Clock) Remove(d *Deadline) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d != nil && d.index != 0 {
		c.queueOf(d).remove(d)
	}
}

// When returns the time that d is planned for. planned is false if d is nil or isn't planned.
func (c *Clock) When(d *Deadline) (at time.Time, planned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d == nil || d.index == 0 {
		return time.Time{}, false
	}
	return c.epochOf(d).Add(d.at), true
}

// Len returns the number of deadlines that are planned.
func (c *Clock) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.monotonic) + len(c.wall)
}

// Close stops the Clock: it waits for the function that runs and calls no other. Deadlines can
// still be planned and removed, to no effect.
func (c *Clock) Close() {
	close(c.stop)
	<-c.done
}

func (c *Clock) queueOf(d *Deadline) *queue {
	if d.onWall {
		return &c.wall
	}
	return &c.monotonic
}

func (c *Clock) epochOf(d *Deadline) time.Time {
	if d.onWall {
		return c.epoch.Round(0)
	}
	return c.epoch
}

func (c *Clock) run() {
	defer close(c.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var due <-chan time.Time // nil while nothing is planned
		if sleep, planned := c.runDue(); planned {
			timer.Reset(min(sleep, maxSleep))
			due = timer.C
		}
		select {
		case <-due:
		case <-c.wake:
		case <-c.stop:
			return
		}
	}
}

// runDue calls the functions that are due and returns the time until the next one is; planned is
// false if there is none.
func (c *Clock) runDue() (sleep time.Duration, planned bool) {
	for {
		var due *Deadline
		if due, sleep, planned = c.next(); due == nil {
			return sleep, planned
		}
		due.Do()
	}
}

// next removes and returns the deadline that is due for longest, of either queue, or returns the time
// until one is.
func (c *Clock) next() (due *Deadline, sleep time.Duration, planned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first *Deadline
	for _, q := range []*queue{&c.monotonic, &c.wall} {
		if len(*q) == 0 {
			continue
		}
		d := (*q)[0]
		if left := d.at - time.Since(c.epochOf(d)); first == nil || left < sleep {
			first, sleep = d, left
		}
	}
	if first == nil || sleep > 0 {
		return nil, sleep, first != nil
	}
	c.queueOf(first).remove(first)
	return first, 0, true
}

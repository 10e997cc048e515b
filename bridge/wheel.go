package bridge

import (
	"sync"
	"time"
)

const (
	wheelTick  = 250 * time.Millisecond // how late a pulse may be
	wheelSlots = 1024                   // what is further away than a turn comes by several times before it is due
)

// wheel has something looked at for every connection from time to time: heartbeat, idleness, age. It has one deadline on the Bridge's clock, for
// all of them, and none while there are no connections; planning and taking back cost the same however many there are.
type wheel struct {
	clock *deadlines
	epoch time.Time // ticks are counted from here, by a clock that nobody sets
	mu    sync.Mutex
	slots [wheelSlots]*pulse
	count int
	done  int64     // the last tick that has been looked at
	next  *deadline // nil at first
	due   int64     // the tick that next is planned for; 0: none
}

// pulse is a connection's place on the wheel.
type pulse struct {
	prev, next *pulse
	tick       int64 // 0: it isn't on the wheel
	of         interface{ beat(now time.Duration) }
}

func newWheel(clock *deadlines) *wheel { return &wheel{clock: clock, epoch: time.Now()} }

// now is how long the wheel has been there.
func (w *wheel) now() time.Duration { return time.Since(w.epoch) }

func tickOf(t time.Duration) int64 { return int64(t / wheelTick) }

// plan has the connection's beat called at the time, or up to a tick later. It runs on the clock's goroutine and must not block.
func (w *wheel) plan(p *pulse, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(p)
	if w.count == 0 {
		w.done = tickOf(w.now())
	}
	p.tick = max(tickOf(at)+1, w.done+1)
	slot := &w.slots[p.tick%wheelSlots]
	p.prev, p.next = nil, *slot
	if p.next != nil {
		p.next.prev = p
	}
	*slot = p
	w.count++
	if w.due == 0 || p.tick < w.due {
		w.wake(p.tick)
	}
}

// remove takes p off the wheel. Its connection's beat may be under way.
func (w *wheel) remove(p *pulse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(p)
	if w.count == 0 && w.due != 0 {
		w.due = 0
		w.clock.remove(w.next)
	}
}

// unlink needs the lock.
func (w *wheel) unlink(p *pulse) {
	if p.tick == 0 {
		return
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		w.slots[p.tick%wheelSlots] = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	}
	p.prev, p.next, p.tick = nil, nil, 0
	w.count--
}

// wake needs the lock.
func (w *wheel) wake(tick int64) {
	w.due = tick
	at := w.epoch.Add(time.Duration(tick) * wheelTick)
	if w.next == nil {
		w.next = w.clock.add(at, w.turn)
		return
	}
	w.clock.move(w.next, at)
}

// turn lets everything beat that is due.
func (w *wheel) turn() {
	now := w.now()
	for _, p := range w.take(tickOf(now)) {
		p.of.beat(now)
	}
}

// take takes what is due off the wheel, and plans the next turn.
func (w *wheel) take(now int64) (due []*pulse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tick := max(w.done+1, now-wheelSlots+1); tick <= now; tick++ { // each slot once
		for p := w.slots[tick%wheelSlots]; p != nil; {
			next := p.next
			if p.tick <= now {
				w.unlink(p)
				due = append(due, p)
			}
			p = next
		}
	}
	w.done, w.due = max(w.done, now), 0
	if w.count == 0 {
		return due
	}
	for tick := w.done + 1; ; tick++ { // the next slot that has anything: one that isn't due yet is looked at too early, which does no harm
		if w.slots[tick%wheelSlots] != nil {
			w.wake(tick)
			return due
		}
	}
}

package webhook

import (
	"container/heap"
	"time"
)

// letter is an event on its way to an Endpoint.
type letter struct {
	id, kind string
	body     []byte
	attempts int       // made so far
	due      time.Time // of the next attempt
	number   uint64    // those that are due at the same time go in the order of their events
}

// letters are those that wait, the next one first. It is a heap.
type letters []*letter

func (l letters) Len() int      { return len(l) }
func (l letters) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *letters) Push(x any)   { *l = append(*l, x.(*letter)) }

func (l letters) Less(i, j int) bool {
	if !l[i].due.Equal(l[j].due) {
		return l[i].due.Before(l[j].due)
	}
	return l[i].number < l[j].number
}

func (l *letters) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return x
}

func (l *letters) add(x *letter) { heap.Push(l, x) }

// next returns the first one if it is due, and otherwise how long until then; 0 if there is none.
func (l *letters) next(now time.Time) (x *letter, wait time.Duration) {
	if len(*l) == 0 {
		return nil, 0
	}
	if wait := (*l)[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(l).(*letter), 0
}

// pauses are those between the attempts; further ones are like the last.
var pauses = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
}

// pause returns the longest pause after so many attempts.
func pause(attempts int) time.Duration { return pauses[min(attempts, len(pauses))-1] }

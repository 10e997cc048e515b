package bridge

import (
	"sync"
	"sync/atomic"
)

// slot is a lock that hands over in the order of arrival. It takes less than a channel and is as cheap as a sync.Mutex; whoever waits
// for it waits on a channel, which a testing/synctest bubble takes for waiting.
type slot struct {
	users atomic.Int32 // the holder and those who wait
	once  sync.Once
	turns chan struct{} // made for the first who has to wait
}

func (l *slot) lock() {
	if l.users.Add(1) > 1 {
		<-l.turn()
	}
}

func (l *slot) unlock() {
	if l.users.Add(-1) > 0 {
		l.turn() <- struct{}{} // there is room: only the holder sends
	}
}

func (l *slot) turn() chan struct{} {
	l.once.Do(func() { l.turns = make(chan struct{}, 1) })
	return l.turns
}

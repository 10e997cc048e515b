package feed

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Item is an event with its number, from 1 without gaps, and the time at which it was received.
type Item struct {
	Number uint64
	At     time.Time
	Event  bridge.Event
}

// Feed remembers the last events of a Bridge. It is safe for concurrent use. Make it with New.
type Feed struct {
	name string // in IDs of server-sent events

	mu       sync.Mutex
	events   *ring
	rejected *ring  // bridge.CredentialRejected, which any client can cause: they displace no others
	last     uint64 // the number of the newest item
	changed  chan struct{}
	ended    bool
}

// queued is how many events wait for the Feed before the Bridge drops some.
const queued = 1024

// New returns a Feed of the events from now on, which remembers so many, and a quarter as many
// bridge.CredentialRejected. It ends when the Bridge is shut down.
func New(b *bridge.Bridge, remember int) *Feed {
	f := &Feed{
		name:   rand.Text()[:8],
		events: newRing(remember), rejected: newRing((remember + 3) / 4), changed: make(chan struct{}),
	}
	events := b.Subscribe(context.Background(), queued)
	go func() {
		for ev := range events {
			f.add(ev)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended = true
		close(f.changed)
	}()
	return f
}

func (f *Feed) add(ev bridge.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	to := f.events
	if _, ok := ev.(bridge.CredentialRejected); ok {
		to = f.rejected
	}
	to.add(Item{f.last, time.Now(), ev})
	close(f.changed)
	f.changed = make(chan struct{})
}

// Last returns the number of the newest item; 0 if there is none.
func (f *Feed) Last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// BeforeFirst returns a number after which Since returns all that is remembered, without a gap.
func (f *Feed) BeforeFirst() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events.dropped
}

// Since returns the items after the number, the oldest first, most of them at most. gap is true if
// some after it, other than rejected credentials, are forgotten. changed is closed when there are
// more, or the Feed has ended; it is nil if the Feed has ended.
func (f *Feed) Since(number uint64, most int) (items []Item, gap bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, j := f.events.after(number), f.rejected.after(number)
	for len(items) < most && (i < f.events.used || j < f.rejected.used) {
		if j == f.rejected.used || i < f.events.used && f.events.at(i).Number < f.rejected.at(j).Number {
			items = append(items, *f.events.at(i))
			i++
		} else {
			items = append(items, *f.rejected.at(j))
			j++
		}
	}
	if !f.ended {
		changed = f.changed
	}
	return items, number < f.events.dropped, changed
}

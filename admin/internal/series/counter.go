package series

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// counter counts the events of an interval.
type counter struct {
	mu    sync.Mutex
	seen  counts
	ended map[string]time.Time // when sessions ended whose connections may still be open
}

type counts struct {
	destroys, logins, opens, closes, failures uint64
	revocations                               []float64 // seconds
}

const (
	maxEnded       = 4096             // sessions in counter.ended
	maxRevocations = 1024             // in an interval
	longestClose   = 10 * time.Second // after a session's end: a later close has another reason
)

func (c *counter) add(ev bridge.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.seen
	switch ev := ev.(type) {
	case bridge.SessionSet:
		if ev.Login {
			n.logins++
		}
	case bridge.SessionDestroy:
		n.destroys++
		c.noteEnd(ev.SessionID)
	case bridge.ConnOpen:
		n.opens++
	case bridge.ConnClose:
		n.closes++
		if at, ok := c.ended[ev.SessionID]; ok && len(n.revocations) < maxRevocations {
			n.revocations = append(n.revocations, time.Since(at).Seconds())
		}
	case bridge.Failure:
		n.failures++
	}
}

// noteEnd remembers when a session ended. c.mu is held.
func (c *counter) noteEnd(id string) {
	if c.ended == nil {
		c.ended = map[string]time.Time{}
	}
	if len(c.ended) < maxEnded {
		c.ended[id] = time.Now()
	}
}

// take returns the counts since the last call.
func (c *counter) take() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = counts{}
	for id, at := range c.ended {
		if time.Since(at) > longestClose {
			delete(c.ended, id)
		}
	}
	return seen
}

// quantile sorts the values and returns the smallest one that is at least as great as the share q
// of them.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
}

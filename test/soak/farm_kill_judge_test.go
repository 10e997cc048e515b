package soak_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// killPromise is how long a socket may stay open after its session's end, even if notifications are
// lost, and how long an older socket may wait for new cookies.
const killPromise = 5 * time.Second

// killDelays are the delays of ends, on the node that was asked and on others.
type killDelays struct {
	mu              sync.Mutex
	here, elsewhere []time.Duration
}

func (d *killDelays) add(elsewhere bool, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if elsewhere {
		d.elsewhere = append(d.elsewhere, max(took, 0))
	} else {
		d.here = append(d.here, max(took, 0))
	}
}

func (d *killDelays) String() string {
	return fmt.Sprintf("on other nodes %s; on the same node %s", killQuantiles(d.elsewhere), killQuantiles(d.here))
}

func killQuantiles(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(100 * time.Microsecond) }
	return fmt.Sprintf("%d sockets, p50 %v, p99 %v, max %v", len(all), at(0.5), at(0.99), at(1))
}

func (d *killDelays) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.here)+len(d.elsewhere) > 0
}

func (d *killDelays) worst() (worst time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, took := range slices.Concat(d.here, d.elsewhere) {
		worst = max(worst, took)
	}
	return worst
}

// expectEnd watches the session's sockets until they have ended with one of the codes, after a
// node's answer at that time. The returned channel is closed then.
func (k *killing) expectEnd(s *killSession, delays *killDelays, at time.Time, by *killNode, codes ...int) <-chan struct{} {
	s.mu.Lock()
	var some []*killSocket
	for _, socket := range s.sockets {
		if !socket.judged.Swap(true) {
			some = append(some, socket)
		}
	}
	s.mu.Unlock()
	done := make(chan struct{})
	k.judging.Go(func() {
		defer close(done)
		late := time.Now().Add(await.Limit)
		for _, socket := range some {
			select {
			case <-socket.closed:
			case <-time.After(time.Until(late)):
				if !socket.node.killed.Load() && (by == nil || !by.killed.Load()) {
					k.t.Errorf("socket %d, at %s, is still open after %v: %v", 1+slices.Index(s.all(), socket), socket.node.name, await.Limit, s)
				}
				socket.leave()
				continue
			}
			switch {
			case socket.left.Load():
			case socket.node.killed.Load():
				k.count.excused.Add(1)
			case !slices.Contains(codes, socket.code):
				k.t.Errorf("socket %d, at %s, was closed with %d (%s) at %s, not %v: %v", 1+slices.Index(s.all(), socket), socket.node.name, socket.code, socket.reason, socket.at.Format("05.000"), codes, s)
			default:
				delays.add(socket.node != by, socket.at.Sub(at))
			}
		}
	})
	return done
}

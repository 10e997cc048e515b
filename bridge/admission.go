package bridge

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// admission lets no more handshakes in than the process can take, so that clients who all come back at once, after a deploy, find
// one that answers. It is asked before the store is. It is safe for concurrent use.
type admission struct {
	most    int64         // under way at once; 0: no limit
	pace    *rate.Limiter // nil: no limit
	running atomic.Int64
	refused atomic.Uint64

	mu    sync.Mutex
	since time.Time // when the overload began
	last  time.Time // when somebody was last refused
}

// defaultHandshakes is what a process has at hand for some 25 MB: net/http's buffers and a stack are 24 KiB. With 5 ms for a look at the store they are 200,000 a second, far more than two cores do; a store that hangs
// for StoreTimeout holds no more than these.
const defaultHandshakes = 1024

func newAdmission(s *settings) *admission {
	return &admission{most: int64(max(s.MaxHandshakes, 0)), pace: newPace(s.HandshakesPerSecond, s.HandshakeBurst)}
}

// newPace returns a limit of so many a second, after a burst; nil for none. The default burst is a second's worth, and at least one.
func newPace(perSecond float64, burst int) *rate.Limiter {
	if perSecond <= 0 || burst == Off {
		return nil
	}
	if burst == 0 {
		burst = int(math.Ceil(perSecond))
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// enter admits a handshake, which calls leave when its link is attached or refused. One that isn't admitted is counted.
func (a *admission) enter() (leave func(), admitted bool) {
	n := a.running.Add(1)
	if a.most > 0 && n > a.most || a.pace != nil && !a.pace.Allow() {
		a.running.Add(-1)
		a.refused.Add(1)
		return nil, false
	}
	return func() { a.running.Add(-1) }, true
}

// askLater tells a handshake that is refused after which time to try again.
func (a *admission) askLater(h http.Header) {
	h.Set("Retry-After", strconv.Itoa(a.retryAfter(time.Now())))
}

// Over how many seconds those who are refused are told to come back: as many as the overload has lasted, within these limits.
const (
	leastRetrySpread = 4
	mostRetrySpread  = 120
)

// overloadEnds is how long nobody must have been refused for an overload to be over. Those that it refused last have come back by then.
const overloadEnds = 2 * mostRetrySpread * time.Second

// retryAfter returns after how many seconds a client should try again: at random, from a span that grows with the overload. The server
// chooses, as it alone knows that there are others.
func (a *admission) retryAfter(now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.last) > overloadEnds {
		a.since = now
	}
	a.last = now
	spread := min(max(int(now.Sub(a.since)/time.Second), leastRetrySpread), mostRetrySpread)
	return 1 + rand.IntN(spread)
}

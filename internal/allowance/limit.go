package allowance

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// ErrExceeded is what every Exceeded is. The bridge exports it, hence the prefix.
var ErrExceeded = errors.New("bridge: rate limit exceeded")

// Exceeded is the error of a Limit that has been reached.
type Exceeded struct {
	Limit      string // its name
	PerSecond  float64
	Burst      int
	RetryAfter time.Duration // when one more is allowed
}

func (e *Exceeded) Error() string {
	return fmt.Sprintf("%v: %s allows %s", ErrExceeded, e.Limit, e.Value())
}

// Value describes the limit's value.
func (e *Exceeded) Value() string {
	return fmt.Sprintf("%v a second, %d at once", e.PerSecond, e.Burst)
}

// Unwrap makes it an ErrExceeded.
func (e *Exceeded) Unwrap() error { return ErrExceeded }

// shards is the number of locks of a Limit.
const shards = 16

// MaxNames is how many names a Limit remembers: about 16 MB. A name that was forgotten
// begins again with a whole allowance.
const MaxNames = shards * maxNames

// Limit limits how often something happens, separately for each name: an address or a session. A nil
// Limit is none. It has no timer, and is safe for concurrent use.
type Limit struct {
	name      string
	perSecond float64
	burst     int
	seed      maphash.Seed
	exceeded  atomic.Uint64
	shards    [shards]shard
}

type shard struct {
	mu    sync.Mutex
	paces *Table[pace]
}

// pace is the limit of one name.
type pace struct {
	*rate.Limiter           // nil: it is whole
	whole         time.Time // when it is whole again
}

// NewLimit returns a Limit that allows a burst at once and then perSecond, of each name. As with
// NewPace it is nil if either is negative or perSecond is 0, and a burst of 0 means perSecond. The
// errors have its own name, that of an option.
func NewLimit(name string, perSecond float64, burst int) *Limit {
	if perSecond <= 0 || burst < 0 {
		return nil
	}
	if burst == 0 {
		burst = secondsWorth(perSecond)
	}
	l := &Limit{name: name, perSecond: perSecond, burst: burst, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].paces = NewTable(func(p *pace, now time.Time) bool { return !now.Before(p.whole) })
	}
	return l
}

// maxWait is the longest time, in seconds, after which a name is taken to be whole.
const maxWait = 365 * 24 * 3600

// secondsWorth returns the burst that is a second's worth, at least 1.
func secondsWorth(perSecond float64) int { return int(math.Ceil(perSecond)) }

// Take counts one more of the name. It returns an *Exceeded, and doesn't count it, if that is one
// too many.
func (l *Limit) Take(name string) error {
	if l == nil {
		return nil
	}
	now := time.Now()
	s := &l.shards[maphash.String(l.seed, name)%shards]
	s.mu.Lock()
	p := s.paces.Of(name, now)
	if p.Limiter == nil {
		p.Limiter = rate.NewLimiter(rate.Limit(l.perSecond), l.burst)
	}
	taken := p.ReserveN(now, 1)
	wait := taken.DelayFrom(now)
	if wait > 0 {
		taken.CancelAt(now)
	} else {
		missing := float64(l.burst) - p.TokensAt(now)
		p.whole = now.Add(time.Duration(min(missing/l.perSecond, maxWait) * float64(time.Second)))
	}
	s.mu.Unlock()
	if wait == 0 {
		return nil
	}
	l.exceeded.Add(1)
	return &Exceeded{l.name, l.perSecond, l.burst, wait}
}

// TakeAddr is Take of the client that has the IP address: see Subscriber.
func (l *Limit) TakeAddr(addr string) error {
	if l == nil {
		return nil
	}
	return l.Take(Subscriber(addr))
}

// Exceeded returns how many were too many.
func (l *Limit) Exceeded() uint64 {
	if l == nil {
		return 0
	}
	return l.exceeded.Load()
}

// Names returns how many names the Limit remembers, MaxNames at most.
func (l *Limit) Names() (n int) {
	if l == nil {
		return 0
	}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += s.paces.Len()
		s.mu.Unlock()
	}
	return n
}

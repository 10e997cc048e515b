package allowance

import (
	"math"

	"golang.org/x/time/rate"
)

// Pace limits how often something happens. It has no timer: it counts when it is asked. A nil Pace
// is no limit. It is safe for concurrent use.
type Pace rate.Limiter

// NewPace returns a Pace of so many a second, after a burst; nil if either is negative, or the
// first is 0. A burst of 0 is a second's worth, and at least one.
func NewPace(perSecond float64, burst int) *Pace {
	if perSecond <= 0 || burst < 0 {
		return nil
	}
	if burst == 0 {
		burst = int(math.Ceil(perSecond))
	}
	return (*Pace)(rate.NewLimiter(rate.Limit(perSecond), burst))
}

// Allow reports whether one more may happen now, and counts it.
func (p *Pace) Allow() bool { return p == nil || (*rate.Limiter)(p).Allow() }

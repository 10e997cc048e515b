package allowance

import "golang.org/x/time/rate"

// Pace limits how often something happens. It has no timer. A nil Pace is no limit. It is safe for
// concurrent use.
type Pace rate.Limiter

// NewPace returns a Pace that allows a burst at once and then perSecond. It returns nil if either
// is negative or perSecond is 0. A burst of 0 means perSecond, but at least 1.
func NewPace(perSecond float64, burst int) *Pace {
	if perSecond <= 0 || burst < 0 {
		return nil
	}
	if burst == 0 {
		burst = secondsWorth(perSecond)
	}
	return (*Pace)(rate.NewLimiter(rate.Limit(perSecond), burst))
}

// Allow reports whether one more may happen now, and counts it.
func (p *Pace) Allow() bool { return p == nil || (*rate.Limiter)(p).Allow() }

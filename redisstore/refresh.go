package redisstore

import "time"

const (
	holdAgain = 12 * time.Hour // how often a node says again what it holds, which Redis forgets after two days
	holdTick  = time.Minute    // how often it says a part of that
)

// refresh says what to hold again when, so that it is done bit by bit, within half of the time.
type refresh struct {
	rest []string
	size int
	last time.Time // when it has begun
}

// next returns what is due now, of all that is held.
func (r *refresh) next(now time.Time, all func() []string) []string {
	if len(r.rest) == 0 {
		if now.Sub(r.last) < holdAgain {
			return nil
		}
		r.rest, r.last = all(), now
		r.size = max(holdsAtOnce, len(r.rest)/int(holdAgain/2/holdTick)+1)
	}
	return r.rest[:min(r.size, len(r.rest))]
}

// done: so many of these are held again.
func (r *refresh) done(n int) { r.rest = r.rest[n:] }

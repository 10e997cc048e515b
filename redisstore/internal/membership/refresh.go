package membership

import "time"

const (
	// refreshEvery is how often a node holds each of its items again. Redis forgets them after two
	// days.
	refreshEvery = 12 * time.Hour
	// refreshTick is how often it holds a part of its items again.
	refreshTick = time.Minute
)

// refresh schedules the items to hold again, evenly within half of refreshEvery.
type refresh struct {
	rest []string
	size int
	last time.Time // when it last began
}

// next returns the items that are due now. all returns all items.
func (r *refresh) next(now time.Time, all func() []string) []string {
	if len(r.rest) == 0 {
		if now.Sub(r.last) < refreshEvery {
			return nil
		}
		r.rest, r.last = all(), now
		r.size = max(holdsAtOnce, len(r.rest)/int(refreshEvery/2/refreshTick)+1)
	}
	return r.rest[:min(r.size, len(r.rest))]
}

// done records that the first n items that next has returned are held again.
func (r *refresh) done(n int) { r.rest = r.rest[n:] }

package opening

import (
	"math"

	"github.com/sessionbridge/sessionbridge/internal/ends"
	"github.com/sessionbridge/sessionbridge/store"
)

// rememberedEnds is how many ends of sessions an Opener remembers.
const rememberedEnds = 4096

// newEnds returns a log of when this process ended the last sessions, for requests that were under
// way at that time. Such a request presents the cookie of a session that was alive when it began.
// It gets gateway.ErrGone instead of a new session, whose cookie would replace a newer one of the
// browser. For ends by other processes the exact time isn't known, and a request that began after
// the end is to get a new session: there MayCreate alone decides.
func newEnds() *ends.Log { return ends.New(math.MaxInt64, rememberedEnds) }

// endedMeanwhile reports whether the session, which is missing, was alive when the request began. A
// record that has expired has the time of its end.
func (x *Exchange) endedMeanwhile(id string, rec *store.Record) bool {
	if rec.ID == id && !rec.Expires.IsZero() {
		return rec.Expires.After(x.began)
	}
	end, known := x.o.ends.Find(id)
	return known && end.At.After(x.began)
}

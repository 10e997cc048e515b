package bridge

import (
	"crypto/subtle"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// lateResponse is how long after it was issued a cookie may reach the browser and still be good,
// although its token has been renewed meanwhile.
const lateResponse = 3 * time.Minute

// prove checks what a request that began then presents against the record, and returns the
// generation of its token. errRefused when it opens nothing; ErrTokenRotated when it was, or may
// have been, the current token when the request began, but a later one is needed now.
func (b *Bridge) prove(rec *store.Record, cred credentials, began time.Time) (uint64, error) {
	hash := cred.token.hash()
	if subtle.ConstantTimeCompare(hash[:], rec.TokenHash[:]) == 1 {
		return rec.TokenGeneration, nil
	}
	if rec.RotatedAt.After(time.Now().Add(b.longestGrace())) { // a clock was set back
		return 0, errRefused
	}
	if rec.PrevTokenHash.IsZero() || subtle.ConstantTimeCompare(hash[:], rec.PrevTokenHash[:]) != 1 {
		if began.Before(rec.RotatedAt) { // several tokens may have come and gone since
			return 0, ErrTokenRotated
		}
		return 0, errRefused
	}
	if !b.previousWorks(rec, cred, began) {
		return 0, errRefused
	}
	if rec.LoginGeneration == rec.TokenGeneration { // the current token is a login's
		return 0, ErrTokenRotated
	}
	return rec.TokenGeneration - 1, nil
}

// previousWorks reports whether the session's previous token still counts for a request that began
// then. One that began before the token was replaced is always served.
func (b *Bridge) previousWorks(rec *store.Record, cred credentials, began time.Time) bool {
	age, grace := began.Sub(rec.RotatedAt), limit(b.opts.RotateGrace)
	switch rec.Renewal {
	case store.RenewalSent: // the browser may not have received the new one
		return age < b.longestGrace()
	case store.RenewalSeen:
		return age < grace || !cred.issued.IsZero() && began.Sub(cred.issued) < lateResponse
	case store.RotationSeen:
		return age < 0
	case store.NotRenewed:
	}
	return age < grace
}

// longestGrace is how long a previous token may count at most.
func (b *Bridge) longestGrace() time.Duration {
	return max(limit(b.opts.RotateGrace), limit(b.opts.RenewEvery))
}

// presented returns until when requests may have begun that are served with the previous token of
// the record, whose current token has been presented by a request that began then: until that
// moment, but not past the grace period.
func (b *Bridge) presented(rec *store.Record, began time.Time) time.Time {
	end := rec.RotatedAt.Add(limit(b.opts.RotateGrace))
	if began.Before(end) {
		end = began
	}
	return end.UTC().Truncate(time.Millisecond)
}

package credentials

import (
	"crypto/subtle"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// lateResponse is how long after its issue a cookie may reach the browser and still be valid,
// although its token has been renewed meanwhile.
const lateResponse = 3 * time.Minute

// Grace has the times for which a previous token is accepted. 0 is none.
type Grace struct {
	Rotate time.Duration // after a rotation or a renewal
	Renew  time.Duration // the age at which tokens are renewed; a lost renewal is repeated for as long
}

// Verdict is the result of checking a credential against the stored session.
type Verdict int

// The verdicts.
const (
	Refused  Verdict = iota // the credential opens nothing
	Replaced                // it was valid when the request began, or may have been, and has been replaced since
	Proved                  // it opens the session
)

// Prove checks the credential that a request presents against the session's record. began is the
// time at which the request began. With Proved it returns the generation of the token.
func (g Grace) Prove(rec *store.Record, cred *Session, began time.Time) (generation uint64, v Verdict) {
	hash := cred.Token.Hash()
	if subtle.ConstantTimeCompare(hash[:], rec.TokenHash[:]) == 1 {
		return rec.TokenGeneration, Proved
	}
	if rec.RotatedAt.After(time.Now().Add(g.longest())) { // a clock was set back
		return 0, Refused
	}
	if rec.PrevTokenHash.IsZero() || subtle.ConstantTimeCompare(hash[:], rec.PrevTokenHash[:]) != 1 {
		if began.Before(rec.RotatedAt) { // several tokens may have been issued since
			return 0, Replaced
		}
		return 0, Refused
	}
	if !g.previousWorks(rec, cred, began) {
		return 0, Refused
	}
	if rec.LoginGeneration == rec.TokenGeneration { // the current token is a login's
		return 0, Replaced
	}
	return rec.TokenGeneration - 1, Proved
}

// ProveAny is Prove for several credentials of one session. If several are proved, the one with the
// current token counts: the browser has it. It returns that token.
func (g Grace) ProveAny(rec *store.Record, creds []Session, began time.Time) (generation uint64, t Token, v Verdict) {
	for i := range creds {
		switch got, verdict := g.Prove(rec, &creds[i], began); {
		case verdict == Proved && (v != Proved || got > generation):
			generation, t, v = got, creds[i].Token, Proved
		case verdict == Replaced && v == Refused:
			v = Replaced
		}
	}
	return generation, t, v
}

// previousWorks reports whether the session's previous token is still valid for a request that
// began then. A request that began before the token was replaced is always served.
func (g Grace) previousWorks(rec *store.Record, cred *Session, began time.Time) bool {
	age := began.Sub(rec.RotatedAt)
	switch rec.Renewal {
	case store.RenewalSent: // the browser may not have received the new one
		return age < g.longest()
	case store.RenewalSeen:
		return age < g.Rotate || cred.Signed != 0 && began.Sub(time.Unix(cred.Signed, 0)) < lateResponse
	case store.RotationSeen:
		return age < 0
	case store.NotRenewed:
	}
	return age < g.Rotate
}

// longest is the longest time for which a previous token may be valid.
func (g Grace) longest() time.Duration { return max(g.Rotate, g.Renew) }

// RetireAt returns when the record's previous token ends, after the current one has been presented
// by a request that began at the given time: that time, or the end of the grace period if it is
// earlier. Requests that began before RetireAt are still served with the previous token.
func (g Grace) RetireAt(rec *store.Record, began time.Time) time.Time {
	end := rec.RotatedAt.Add(g.Rotate)
	if began.Before(end) {
		end = began
	}
	return end.UTC().Truncate(time.Millisecond)
}

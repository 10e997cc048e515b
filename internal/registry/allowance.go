package registry

import "time"

// A login, or a new session of a client, sends the client's other connections back. A client is named
// by a cookie that proves nothing: whoever has a copy of it can make sessions of that client as well,
// and must not be able to cut its owner's connections again and again. So a connection that has
// proved another session, which is alive, is sent back for that only so many times; then it stays
// where it is, which its own session cookie entitles it to. An owner who has lost the session cookie,
// and so gets a new session, is well within the limit. Connections without a session have nothing to
// lose by it but their time.
const (
	cutsInARow       = 2
	cutsEvery        = 10 * time.Minute
	bareInARow       = 20
	bareEvery        = time.Minute
	maxCutAllowances = 4096
)

// cutAllowances has what is left for each client whose connections have been sent back lately.
type cutAllowances map[string]*cutAllowance

type cutAllowance struct{ proved, bare allowance }

// allowance is a number of times that grows back.
type allowance struct {
	used float64
	at   time.Time
}

// take uses one; false when there is none left.
func (a *allowance) take(now time.Time, inARow float64, every time.Duration) bool {
	a.used = max(0, a.used-now.Sub(a.at).Seconds()/every.Seconds())
	a.at = now
	if a.used > inARow-1 {
		return false
	}
	a.used++
	return true
}

// allow reports whether connections of the client may be sent back once more: those that have proved
// a session, or those without one.
func (c cutAllowances) allow(clientID string, proved bool) bool {
	now := time.Now()
	limit := c[clientID]
	if limit == nil {
		c.makeRoom(now)
		limit = &cutAllowance{}
		c[clientID] = limit
	}
	if proved {
		return limit.proved.take(now, cutsInARow, cutsEvery)
	}
	return limit.bare.take(now, bareInARow, bareEvery)
}

// makeRoom forgets clients that have their whole allowance again and, while there are still more than
// three quarters of the limit, any others. So its cost is spread over many calls.
func (c cutAllowances) makeRoom(now time.Time) {
	if len(c) < maxCutAllowances {
		return
	}
	for id, l := range c {
		if now.Sub(l.proved.at) > cutsInARow*cutsEvery && now.Sub(l.bare.at) > bareInARow*bareEvery {
			delete(c, id)
		}
	}
	for id := range c {
		if len(c) <= maxCutAllowances*3/4 {
			return
		}
		delete(c, id)
	}
}

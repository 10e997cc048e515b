package bridge

import "time"

// A login, or a new session of a client, sends the client's other connections back (Rebind). A client is named by a cookie that proves nothing (G10): a stranger who has a copy of it can
// make sessions of that client as well, and must not be able to cut its owner's connections again and again. So a connection that has proved another session, which is alive, is sent
// back for that only so many times; then it stays where it is, which its own session cookie entitles it to. An owner who has lost the session cookie, and so gets a new session, is well within the limit. Connections without a
// session have nothing to lose by it but their time.
const (
	cutsInARow    = 2
	cutsEvery     = 10 * time.Minute
	bareInARow    = 20
	bareEvery     = time.Minute
	mostCutLimits = 4096
)

// cutLimits has what is left for each client whose connections have been sent back lately. The lock of links guards it.
type cutLimits map[string]*cutLimit

type cutLimit struct{ proved, bare allowance }

// allowance is a number of times that grows back.
type allowance struct {
	used float64
	at   time.Time
}

// take uses one; false when there is none left.
func (a *allowance) take(now time.Time, most float64, every time.Duration) bool {
	a.used = max(0, a.used-now.Sub(a.at).Seconds()/every.Seconds())
	a.at = now
	if a.used > most-1 {
		return false
	}
	a.used++
	return true
}

// allow reports whether connections of the client may be sent back once more: those that have proved a session, or those without one.
func (c cutLimits) allow(clientID string, proved bool) bool {
	now := time.Now()
	limit := c[clientID]
	if limit == nil {
		c.makeRoom(now)
		limit = &cutLimit{}
		c[clientID] = limit
	}
	if proved {
		return limit.proved.take(now, cutsInARow, cutsEvery)
	}
	return limit.bare.take(now, bareInARow, bareEvery)
}

// makeRoom forgets clients that have their whole allowance again; if that are none, any.
func (c cutLimits) makeRoom(now time.Time) {
	if len(c) < mostCutLimits {
		return
	}
	for id, l := range c {
		if now.Sub(l.proved.at) > cutsInARow*cutsEvery && now.Sub(l.bare.at) > bareInARow*bareEvery {
			delete(c, id)
		}
	}
	for id := range c {
		if len(c) < mostCutLimits {
			return
		}
		delete(c, id)
	}
}

// outsiders returns the client's links that are to be sent back as it has got the session id. The lock is held.
func (ls *links) outsiders(clientID, id string) (of []*Link) {
	var asked, may [2]bool // without a session, with another
	for _, l := range ls.byClient[clientID] {
		if l.sessionID == id {
			continue
		}
		kind := 0
		if l.sessionID != "" {
			kind = 1
		}
		if !asked[kind] {
			asked[kind], may[kind] = true, ls.cuts.allow(clientID, kind == 1)
		}
		if may[kind] {
			of = append(of, l)
		}
	}
	return of
}

// cutOutsider parts a link from its session since its client has got another one during the handshake; false when it stays.
func (ls *links) cutOutsider(l *Link) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !ls.cuts.allow(l.clientID, l.sessionID != "") {
		return false
	}
	ls.leave(l)
	return true
}

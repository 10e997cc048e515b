package bridge

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

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

type cutLimit struct {
	proved, bare allowance

	// The session for which those without one were sent back last: they may come too early for its
	// cookies.
	id    string
	began time.Time
}

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

// forSession is allow for connections without a session that are sent back for this one: however
// many come how often, that is once.
func (c cutLimits) forSession(rec *store.Record) bool {
	if limit := c[rec.ClientID]; limit != nil && limit.id == rec.ID && limit.began.Equal(rec.Began()) {
		return true
	}
	if !c.allow(rec.ClientID, false) {
		return false
	}
	c[rec.ClientID].id, c[rec.ClientID].began = rec.ID, rec.Began()
	return true
}

// outsiders returns the client's links that are to be sent back as it has got the session. The lock
// is held.
func (ls *links) outsiders(rec *store.Record) (of []*Link) {
	var asked, may [2]bool // without a session, with another
	for _, l := range ls.byClient[rec.ClientID] {
		if l.sessionID == rec.ID {
			continue
		}
		kind := 0
		if l.sessionID != "" {
			kind = 1
		}
		switch {
		case asked[kind]:
		case kind == 0:
			asked[kind], may[kind] = true, ls.cuts.forSession(rec)
		default:
			asked[kind], may[kind] = true, ls.cuts.allow(rec.ClientID, true)
		}
		if may[kind] {
			of = append(of, l)
		}
	}
	return of
}

// mayAwait reports whether a link that has no session may be sent back for this one, whose cookies
// its browser may not have yet.
func (ls *links) mayAwait(rec *store.Record) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.cuts.forSession(rec)
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

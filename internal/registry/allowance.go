package registry

import (
	"time"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/store"
)

// A login, or a new session of a client, sends the client's other connections back. A client is
// named by a cookie that proves nothing: a stranger with a copy of it can create sessions of that
// client, and must not be able to cut its owner's connections again and again. So a connection that
// has proved another live session is sent back only a limited number of times; then it stays,
// because its own session cookie is valid. An owner who has lost the session cookie, and so gets a
// new session, is well within the limit. A connection without a session loses nothing but time.
var (
	provedRate = allowance.Rate{InARow: 2, Every: 10 * time.Minute}
	bareRate   = allowance.Rate{InARow: 20, Every: time.Minute}
)

// cutAllowances has what is left for each client whose connections have been sent back lately.
type cutAllowances struct{ *allowance.Table[cutAllowance] }

type cutAllowance struct {
	proved, bare allowance.Allowance

	// The session for which connections without one were sent back last: they may come too early
	// for its cookies.
	id    string
	began time.Time
}

func newCutAllowances() cutAllowances {
	return cutAllowances{allowance.NewTable(func(a *cutAllowance, now time.Time) bool {
		return a.proved.Whole(now, provedRate) && a.bare.Whole(now, bareRate)
	})}
}

// allow reports whether connections of the client may be sent back once more: those that have
// proved a session, or those without one.
func (c cutAllowances) allow(clientID string, proved bool) bool {
	now := time.Now()
	of := c.Of(clientID, now)
	if proved {
		return of.proved.Take(now, provedRate)
	}
	return of.bare.Take(now, bareRate)
}

// allowAll is allow for connections without a session that are sent back for this one. All of them
// count once.
func (c cutAllowances) allowAll(rec *store.Record) bool {
	now := time.Now()
	of := c.Of(rec.ClientID, now)
	if of.id == rec.ID && of.began.Equal(rec.Began()) {
		return true
	}
	if !of.bare.Take(now, bareRate) {
		return false
	}
	of.id, of.began = rec.ID, rec.Began()
	return true
}

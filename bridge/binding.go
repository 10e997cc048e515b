package bridge

import (
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

// useClient makes the client whose cookie the request has presented the request's client. The lock
// is held, or not needed yet.
func (rq *request) useClient(cookie credentials.Client) {
	rq.answer.UseClient(cookie)
	rq.newest, _ = rq.b.clients.SessionOf(cookie.ID)
}

// bind makes the session's client the request's (G10). Any client cookie that the request presents
// may be the session's. It reports whether the session may be opened.
func (rq *request) bind(rec *store.Record) bool {
	was, fits := rq.fit(rec)
	if fits {
		return true
	}
	b, strict := rq.b, rq.b.opts.StrictBinding
	b.stats.mismatches.Add(1)
	b.opts.Logger.LogAttrs(rq.Context, slog.LevelWarn, "session came with another client's cookie, or none",
		b.logSession(rec.ID), b.logClient(was), slog.Bool("refused", strict))
	if strict {
		return false
	}
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.answer.AdoptClient(rec.ClientID)
	rq.newest, _ = b.clients.SessionOf(rec.ClientID)
	return true
}

// fit makes the session's client the request's client if nothing contradicts that. Otherwise was is
// the request's client.
func (rq *request) fit(rec *store.Record) (was string, fits bool) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.answer.ClientID() == rec.ClientID {
		return "", true
	}
	if rq.presented.Carrier != credentials.ByCookies { // there is no client cookie to compare
		rq.answer.AdoptClient(rec.ClientID)
		rq.newest, _ = rq.b.clients.SessionOf(rec.ClientID)
		return "", true
	}
	if cookie, ok := rq.presented.Client(rec.ClientID); ok {
		rq.useClient(cookie)
		return "", true
	}
	rq.mismatched = true
	return rq.answer.ClientID(), false
}

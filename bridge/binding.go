package bridge

import (
	"log/slog"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

// likelyClient returns which of the request's client cookies counts until its session is opened:
// that of a session that the request presents, as far as this process knows, or else the one that
// was signed last.
func (rq *request) likelyClient() credentials.Client {
	if len(rq.presented.Clients) > 1 {
		for _, p := range rq.presented.Sessions {
			clientID, _ := rq.b.clients.ClientOf(p.ID)
			if cookie, ok := rq.presented.Client(clientID); ok {
				return cookie
			}
		}
	}
	return rq.presented.Clients[0]
}

// beClient makes the request one of the client whose cookie it has presented. The lock is held, or
// not needed yet.
func (rq *request) beClient(cookie credentials.Client) {
	rq.answer.UseClient(cookie)
	rq.newest, _ = rq.b.clients.SessionOf(cookie.ID)
}

// bind makes the session's client the request's: G10. The session fits any client cookie that the
// request presents. It reports whether the session may be opened.
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

// fit makes the session's client the request's if it may be without further ado. was is the
// request's client otherwise.
func (rq *request) fit(rec *store.Record) (was string, fits bool) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.answer.ClientID() == rec.ClientID {
		return "", true
	}
	if rq.presented.Carrier != credentials.ByCookies { // there is no client cookie to go by
		rq.answer.AdoptClient(rec.ClientID)
		rq.newest, _ = rq.b.clients.SessionOf(rec.ClientID)
		return "", true
	}
	if cookie, ok := rq.presented.Client(rec.ClientID); ok {
		rq.beClient(cookie)
		return "", true
	}
	rq.mismatched = true
	return rq.answer.ClientID(), false
}

package bridge

import (
	"log/slog"

	"github.com/sessionbridge/sessionbridge/store"
)

// likelyClient returns which of the request's client cookies counts until its session is opened:
// that of a session that the request presents, as far as this process knows, or else the one that
// was signed last.
func (rq *request) likelyClient() clientCookie {
	if len(rq.presented.clients) > 1 {
		for _, p := range rq.presented.sessions {
			clientID, _ := rq.b.clients.ClientOf(p.id)
			if cookie, ok := rq.clientCookie(clientID); ok {
				return cookie
			}
		}
	}
	return rq.presented.clients[0]
}

// clientCookie returns the request's cookie of a client.
func (rq *request) clientCookie(clientID string) (clientCookie, bool) {
	for _, cookie := range rq.presented.clients {
		if cookie.id == clientID {
			return cookie, true
		}
	}
	return clientCookie{}, false
}

// beClient makes the request one of the client whose cookie it has presented. The lock is held, or
// not needed yet.
func (rq *request) beClient(cookie clientCookie) {
	rq.clientID, rq.newClient, rq.sendClient = cookie.id, false, rq.b.cookies.rollDue(cookie)
	rq.newest, _ = rq.b.clients.SessionOf(cookie.id)
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
	rq.clientID, rq.newClient, rq.sendClient, rq.askClient = rec.ClientID, false, true, true
	rq.newest, _ = b.clients.SessionOf(rec.ClientID)
	return true
}

// fit makes the session's client the request's if it may be without further ado. was is the
// request's client otherwise.
func (rq *request) fit(rec *store.Record) (was string, fits bool) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if rq.clientID == rec.ClientID {
		return "", true
	}
	if rq.carrier != byCookies { // there is no client cookie to go by
		rq.clientID, rq.newClient = rec.ClientID, false
		rq.newest, _ = rq.b.clients.SessionOf(rec.ClientID)
		return "", true
	}
	if cookie, ok := rq.clientCookie(rec.ClientID); ok {
		rq.beClient(cookie)
		return "", true
	}
	rq.mismatched = true
	return rq.clientID, false
}

package opening

import (
	"context"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/store"
)

// fits reports whether the request has a cookie of the session's client.
func (x *Exchange) fits(rec *store.Record) bool {
	_, ok := x.presented.Client(rec.ClientID)
	return ok
}

// Owns reports whether the request comes from the session's own browser, as far as its credentials
// can tell.
func (x *Exchange) Owns(rec *store.Record) bool {
	return x.presented.Carrier == credentials.ByToken && len(x.presented.Clients) == 0 || x.fits(rec)
}

// bind makes the session's client the request's client. Any client cookie that the request presents
// may be the session's. It reports whether the session may be opened.
func (x *Exchange) bind(ctx context.Context, rec *store.Record) bool {
	was, fits := x.fit(rec)
	if fits {
		return true
	}
	x.o.cfg.Mismatched(ctx, rec, was)
	if x.o.cfg.Strict {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.adoptClient(rec)
	return true
}

// fit makes the session's client the request's client if nothing contradicts that. Otherwise was is
// the request's client.
func (x *Exchange) fit(rec *store.Record) (was string, fits bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.answer.ClientID() == rec.ClientID {
		return "", true
	}
	byToken := x.presented.Carrier != credentials.ByCookies
	if x.imports || byToken && len(x.presented.Clients) == 0 { // there is no client to compare
		x.adoptClient(rec)
		return "", true
	}
	if cookie, ok := x.presented.Client(rec.ClientID); ok {
		x.useClient(cookie)
		return "", true
	}
	x.mismatched = true
	return x.answer.ClientID(), false
}

// useClient makes the client of a presented cookie the request's client. The lock is held, or not
// needed yet. adoptClient does so for the session's client.
func (x *Exchange) useClient(cookie credentials.Client) {
	x.answer.UseClient(cookie)
	x.newest, _ = x.o.cfg.SessionOf(cookie.ID)
}

func (x *Exchange) adoptClient(rec *store.Record) {
	x.answer.AdoptClient(rec.ClientID)
	x.newest, _ = x.o.cfg.SessionOf(rec.ClientID)
}

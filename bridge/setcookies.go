package bridge

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// cookieAge returns how long the browser is to keep the cookie of the record's session.
func cookieAge(rec *store.Record) time.Duration {
	if gateway.EndsWithBrowser(rec.Data) {
		return credentials.UntilBrowserCloses
	}
	return rec.Lifetime
}

// answering records the status of the handler's response.
func (rq *request) answering(code int) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	if !rq.sent {
		rq.status = code
	}
}

// setCookies writes the credentials that are due to the header of the response.
func (rq *request) setCookies(h http.Header) error {
	guest := rq.madeGuest()
	rq.mu.Lock()
	effects, err := rq.answer.WriteTo(h, credentials.Response{
		Request: rq.r,
		Status:  rq.status,
		Asked:   rq.session != nil || rq.opening != nil,
		Opened:  rq.session != nil,
		Created: rq.fresh,
		Guest:   guest,
	})
	rq.mu.Unlock()
	if effects.Withheld {
		rq.b.opts.Logger.LogAttrs(rq, slog.LevelInfo,
			"session cookie not set: the request comes from another site, "+
				"without the cookies that the browser may have")
	}
	if effects.Overruled {
		rq.b.tellOverruled(rq)
	}
	return err
}

// tellOverruled logs that a handler's Cache-Control was overruled because of a credential, once in
// the life of the Bridge.
func (b *Bridge) tellOverruled(ctx context.Context) {
	if !b.overrule.Swap(true) {
		b.opts.Logger.LogAttrs(ctx, slog.LevelWarn,
			"a response that its handler lets caches store had to set the session cookie or another credential: "+
				"it is sent with Cache-Control: private, no-store; don't change the session in such a handler (logged once)")
	}
}

// madeGuest reports whether the request has created its session, without a login.
func (rq *request) madeGuest() bool {
	rq.mu.Lock()
	s, fresh := rq.session, rq.fresh
	rq.mu.Unlock()
	return fresh && s != nil && s.UserID() == ""
}

package bridge

import (
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

// answering notes the status with which the handler answers.
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
			"session cookie not set: the request comes from another site, without the cookies that the browser may have")
	}
	if effects.Overruled {
		rq.b.tellOverruled(rq)
	}
	return err
}

// madeGuest reports whether the request has made its session itself, without a login.
func (rq *request) madeGuest() bool {
	rq.mu.Lock()
	s, fresh := rq.session, rq.fresh
	rq.mu.Unlock()
	return fresh && s != nil && s.UserID() == ""
}

package bridge

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
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

// setCookies puts the cookies that are due into the response, or what stands for them where a
// client does without.
func (rq *request) setCookies(h http.Header) error {
	guest := rq.madeGuest()
	rq.mu.Lock()
	err := rq.putCookies(h, guest)
	overrules, spared := rq.overrules, rq.spared
	rq.overrules, rq.spared = false, false
	rq.mu.Unlock()
	if spared {
		rq.b.opts.Logger.LogAttrs(rq, slog.LevelInfo,
			"session cookie not set: the request comes from another site, without the cookies that the browser may have")
	}
	if overrules {
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

// putCookies needs the lock.
func (rq *request) putCookies(h http.Header, guest bool) error {
	b := rq.b
	if rq.private {
		rq.keepFromCaches(h)
	}
	change := rq.cookie
	withheld := rq.fresh && (change != cookieStays || rq.clears) && rq.cookiesWithheld()
	if rq.clears && !withheld && len(b.opts.ClearSiteData) > 0 && h.Get("Clear-Site-Data") == "" {
		h.Set("Clear-Site-Data", `"`+strings.Join(b.opts.ClearSiteData, `", "`)+`"`)
	}
	if rq.presented.Carrier != credentials.ByCookies {
		return rq.setToken(h)
	}
	rq.cookie = cookieStays // what comes later comes on top
	rq.spared = withheld && (guest || change == cookieRemoved)
	if rq.spared {
		change = cookieStays
	}
	due := change == cookieSet || rq.clientDue(h)
	if rq.depends() {
		varyCookie(h)
	}
	if rq.depends() || due || change != cookieStays {
		varyOn(h, rq.presented.Reads...) // with a token there it would be another's response
	}
	if !due && change == cookieStays {
		return nil
	}
	rq.keepFromCaches(h)
	varyCookie(h)
	return rq.addCookies(h, change, due)
}

// addCookies adds the lines to h. A session cookie never goes without its client cookie. The lock
// is held.
func (rq *request) addCookies(h http.Header, change cookieChange, client bool) (err error) {
	b := rq.b
	before := len(h["Set-Cookie"])
	switch change {
	case cookieSet:
		err = b.codec.SetSession(h, rq.presented.Secure, rq.cred, rq.lifetime)
	case cookieRemoved:
		b.codec.RemoveSession(h, rq.presented.Secure)
	case cookieStays:
	}
	if client {
		rq.sendClient = false
		err = errors.Join(err, b.codec.SetClient(h, rq.presented.Secure, rq.clientID))
	}
	rq.lines = append(rq.lines, h["Set-Cookie"][before:]...)
	return err
}

// depends reports whether the response may depend on the cookies: the handler has asked for the
// session or for the client. The lock is held.
func (rq *request) depends() bool {
	return rq.session != nil || rq.opening != nil || rq.askClient
}

// clientDue reports whether the response sets the client cookie although it sets no session cookie.
// The lock is held.
func (rq *request) clientDue(h http.Header) bool {
	switch {
	case !rq.sendClient:
		return false
	case rq.askClient, rq.b.opts.EagerClient && rq.loadsPage(), !rq.newClient && rq.session != nil, isStream(h):
	default:
		return false
	}
	if rq.status == http.StatusNotModified || forCaches(h) { // a 304 changes what a cache has stored
		return false
	}
	if rq.newClient || rq.b.opts.SameSite != http.SameSiteNoneMode {
		return !rq.crossSite()
	}
	return true
}

// isStream reports whether the response is a stream of events, which Attach makes a connection of
// when its headers have left.
func isStream(h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// loadsPage reports whether the request loads a page, as far as it says. Scripts and images of the
// page are loaded at once: their responses would set a client cookie each.
func (rq *request) loadsPage() bool {
	if rq.r == nil {
		return false
	}
	switch rq.r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "frame", "iframe":
		return true
	}
	return false
}

func (rq *request) crossSite() bool { return rq.r != nil && rq.b.codec.CrossSite(rq.r) }

// cookiesWithheld reports whether the browser may have cookies that it hasn't sent, because another
// site has caused the request. The lock is held.
func (rq *request) cookiesWithheld() bool {
	return rq.b.opts.SameSite != http.SameSiteNoneMode && rq.crossSite()
}

// keepFromCaches is keepFromCaches that notes whether it overrules the handler. The lock is held.
func (rq *request) keepFromCaches(h http.Header) {
	if keepFromCaches(h) {
		rq.overrules = true
	}
}

package credentials

import (
	"net/http"
	"strings"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
)

// Response is what WriteTo needs to know about a response and its request.
type Response struct {
	Request *http.Request // nil once its handler has returned
	Status  int           // 0 until the handler sets it
	Asked   bool          // the handler has asked for the session: the response may depend on it
	Opened  bool          // the session has been opened, or created
	Created bool          // the request has created its session
	Guest   bool          // likewise, and the session has no user

	originAllowed bool // the answer to AskOrigin
}

// Effects are the effects of WriteTo that the application may not expect.
type Effects struct {
	Overruled bool // the handler wanted the response stored by caches, which is no longer allowed
	Withheld  bool // the change was not written: see WriteTo
}

// WriteTo adds what is due to the header of a response that is about to leave. It may be called
// again: each change is written once, a later one in addition to an earlier one. With
// Config.OriginAllowed, AskOrigin comes first.
//
// A request that another site has caused comes without SameSite cookies, although the browser may
// have them. So its response neither replaces the session cookie by that of a guest, nor removes
// it: then Effects.Withheld is true.
func (a *Answer) WriteTo(h http.Header, to Response) (effects Effects, err error) {
	c, change := a.presented.codec, a.change
	if a.private {
		effects.Overruled = cachecontrol.Restrict(h)
	}
	withheld := to.Created && (change != Keep || a.clears) && (a.withhold || c.cookiesWithheld(&to))
	if a.clears && !withheld && len(c.cfg.ClearSiteData) > 0 && h.Get("Clear-Site-Data") == "" {
		h.Set("Clear-Site-Data", `"`+strings.Join(c.cfg.ClearSiteData, `", "`)+`"`)
	}
	a.change = Keep
	depends := to.Asked || a.clientAsked
	if a.presented.Carrier != ByCookies {
		overruled, err := a.writeToken(h, change, depends)
		effects.Overruled = effects.Overruled || overruled
		return effects, err
	}
	if effects.Withheld = withheld && (to.Guest || change == Remove); effects.Withheld {
		change = Keep
	}
	client := change == Set || a.sendsClient(h, &to) // a session cookie is set together with its client cookie
	if depends {
		a.varyOnCookie(h)
	}
	if depends || client || change != Keep {
		cachecontrol.VaryOn(h, a.presented.names().reads...) // a request with a token gets another response
	}
	if !client && change == Keep {
		return effects, nil
	}
	if cachecontrol.Restrict(h) {
		effects.Overruled = true
	}
	a.varyOnCookie(h)
	return effects, a.addCookies(h, change, client)
}

// varyOnCookie is cachecontrol.VaryOn for Cookie. It takes no allocation in a header without Vary.
func (a *Answer) varyOnCookie(h http.Header) {
	if len(h["Vary"]) > 0 {
		cachecontrol.VaryOn(h, "Cookie")
		return
	}
	a.vary[0] = "Cookie"
	h["Vary"] = a.vary[:]
}

// addCookies adds the Set-Cookie lines to h.
func (a *Answer) addCookies(h http.Header, change Change, client bool) (err error) {
	c, secure := a.presented.codec, a.presented.secure
	before := len(h["Set-Cookie"])
	if change != Keep {
		c.removeFormer(h, &c.session, a.presented)
	}
	switch change {
	case Set:
		err = c.setSession(h, secure, a.session, a.lifetime)
	case Remove:
		c.removeSession(h, secure)
		c.removeDevice(h, secure)
	case Keep:
	}
	if client {
		a.clientDue = false
		c.removeFormer(h, &c.client, a.presented)
		c.setClient(h, secure, a.clientID)
	}
	a.cookies = append(a.cookies, h["Set-Cookie"][before:]...)
	return err
}

// writeToken sends a client without cookies its new token, or has it forget the one that it has. A
// client with a ticket has no token to keep.
func (a *Answer) writeToken(h http.Header, change Change, depends bool) (overruled bool, err error) {
	c, reads := a.presented.codec, a.presented.names().reads
	if depends || change != Keep {
		cachecontrol.VaryOn(h, reads...)
		if len(reads) == 0 { // the headers that the response depends on are unknown
			if h.Get("Cache-Control") == "" {
				h.Set("Cache-Control", "no-store")
			}
			cachecontrol.VaryOn(h, "*") // also if the handler lets caches store it
		}
	}
	if change == Keep || a.presented.Carrier != ByToken {
		return false, nil
	}
	overruled = cachecontrol.Restrict(h)
	text := ""
	if change == Set {
		if text, err = c.Token(a.session, a.presented.secure); err != nil {
			return overruled, err
		}
	}
	a.token = []string{text}
	h[TokenHeader] = a.token
	return overruled, nil
}

// sendsClient reports whether the response sets the client cookie although it sets no session
// cookie.
func (a *Answer) sendsClient(h http.Header, to *Response) bool {
	c := a.presented.codec
	switch {
	case !a.clientDue:
		return false
	case a.clientAsked, c.cfg.EagerClient && loadsPage(to.Request), !a.clientIsNew && to.Opened, isStream(h):
	default:
		return false
	}
	if to.Status == http.StatusNotModified || cachecontrol.Shared(h) { // a 304 changes what a cache has stored
		return false
	}
	if a.clientIsNew || c.cfg.SameSite != http.SameSiteNoneMode {
		return to.Request == nil || !c.crossSite(to)
	}
	return true
}

// isStream reports whether the response is a stream of events. Such a response may become a
// connection once its headers have left.
func isStream(h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// loadsPage reports whether the request loads a page, as far as its headers say. The page's scripts
// and images are loaded at the same time: each response would set another client cookie.
func loadsPage(r *http.Request) bool {
	if r == nil {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "frame", "iframe":
		return true
	}
	return false
}

// cookiesWithheld reports whether the browser may have cookies that it hasn't sent with the
// request, because another site has caused it.
func (c *Codec) cookiesWithheld(to *Response) bool {
	return c.cfg.SameSite != http.SameSiteNoneMode && to.Request != nil && c.crossSite(to)
}

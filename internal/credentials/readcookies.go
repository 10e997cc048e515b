package credentials

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// maxChecked is how many cookies of one name have their signature checked in one request. It is
// more than a browser keeps for a site (180 in Chromium), so that cookies added by a sibling host
// (cookie tossing) never use it up.
const maxChecked = 256

// readSessions appends the request's session cookies whose signature holds to list, in the order of
// the Cookie header.
func (c *Codec) readSessions(list []Session, r *http.Request, secure bool) []Session {
	name := c.sessionName(secure)
	var v signedValue
	checked := 0
	for _, cookie := range r.CookiesNamed(name) {
		if len(cookie.Value) != sessionCookieLen || checked == maxChecked {
			continue
		}
		checked++
		if !c.sessions.verify(name, cookie.Value, &v) {
			continue
		}
		if cred, ok := openedSession(&v); ok {
			list = append(list, cred)
		}
	}
	return list
}

// readClients appends the request's client cookies whose signature holds to list, the one that was
// signed last first.
func (c *Codec) readClients(list []Client, r *http.Request, secure bool) []Client {
	name := c.clientName(secure)
	var v signedValue
	checked := 0
	for _, cookie := range r.CookiesNamed(name) {
		if len(cookie.Value) != clientCookieLen || checked == maxChecked {
			continue
		}
		checked++
		if !c.clients.verify(name, cookie.Value, &v) {
			continue
		}
		id := strings.ToLower(string(v.bytes()))
		if _, ok := uuidtext.Parse(id); ok {
			list = append(list, Client{id, v.signed.Unix()})
		}
	}
	if len(list) > 1 {
		slices.SortStableFunc(list, func(a, b Client) int { return cmp.Compare(b.Signed, a.Signed) })
	}
	return list
}

// rollDue reports whether the client cookie is old enough to be sent again.
func (c *Codec) rollDue(cookie Client) bool {
	every := c.cfg.ClientRollEvery
	return every > 0 && time.Since(time.Unix(cookie.Signed, 0)) >= every
}

package credentials

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/uuidtext"
)

// maxChecked is how many cookies of one kind have their signature checked in one request. It is
// more than a browser keeps for a site (180 in Chromium), so that cookies added by a sibling host
// (cookie tossing) never use it up.
const maxChecked = 256

// readSessions reads the request's session cookies with a valid signature: those of the present
// name first, then in the order of the Cookie header.
func (p *Presented) readSessions(r *http.Request) {
	at, ring := &p.codec.session, p.codec.keys.Load().sessions
	p.Sessions = p.oneSession[:0]
	var v signedValue
	checked := 0
	for i, name := range at.read(p.secure) {
		cookies := cookiesNamed(r, name)
		for value, ok := cookies.next(); ok; value, ok = cookies.next() {
			if len(value) != sessionCookieLen || checked == maxChecked {
				continue
			}
			checked++
			if !ring.verify(name, value, &v) {
				continue
			}
			if cred, ok := openedSession(&v); ok {
				cred.Stale = p.noteName(i, name) || v.stale
				cred.Host = at.hostOnly(p.secure, name)
				p.Sessions = append(p.Sessions, cred)
			}
		}
	}
}

// readClients reads the request's client cookies with a valid signature, the one that was signed
// last first.
func (p *Presented) readClients(r *http.Request) {
	at, ring := &p.codec.client, p.codec.keys.Load().clients
	p.Clients = p.oneClient[:0]
	var v signedValue
	checked := 0
	for i, name := range at.read(p.secure) {
		cookies := cookiesNamed(r, name)
		for value, ok := cookies.next(); ok; value, ok = cookies.next() {
			if len(value) != clientCookieLen || checked == maxChecked {
				continue
			}
			checked++
			if !ring.verify(name, value, &v) {
				continue
			}
			id := strings.ToLower(string(v.bytes()))
			if _, ok := uuidtext.Parse(id); ok {
				stale := p.noteName(i, name) || v.stale
				p.Clients = append(p.Clients, Client{id, v.signed, stale, at.hostOnly(p.secure, name)})
			}
		}
	}
	if len(p.Clients) > 1 {
		slices.SortStableFunc(p.Clients, func(a, b Client) int {
			return cmp.Or(hostFirst(a.Host, b.Host), cmp.Compare(b.Signed, a.Signed))
		})
	}
}

// noteName notes that the request has a cookie of the application's under the name, the ith that is
// read. It reports whether that is a former name.
func (p *Presented) noteName(i int, name string) (former bool) {
	if i > 0 && !slices.Contains(p.names().former, name) {
		if p.other == nil {
			p.other = &otherNames{}
		}
		p.other.former = append(p.other.former, name)
	}
	return i > 0
}

// rollDue reports whether the client cookie is to be sent again: it is old, or to be signed anew.
func (c *Codec) rollDue(cookie Client) bool {
	every := c.cfg.ClientRollEvery
	return cookie.Stale || every > 0 && time.Since(time.Unix(cookie.Signed, 0)) >= every
}

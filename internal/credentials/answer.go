package credentials

import (
	"net/http"
	"slices"
	"time"
)

// TokenHeader is the response header that brings a client without cookies its token. An empty value
// tells it to forget its token.
const TokenHeader = "Session-Token"

// Change is what the response does to the session credential that the client has.
type Change uint8

// The changes.
const (
	Keep Change = iota
	Set
	Remove
)

// Answer is what the response to one request sets: the session credential, the client cookie, and
// the headers that protect them. It collects the request's changes, and WriteTo writes them to the
// response. Begin comes first. An Answer is not safe for concurrent use.
type Answer struct {
	presented *Presented

	clientID    string // that the response is for
	clientIsNew bool   // no other request can have named the client yet
	clientAsked bool   // the handler has asked for the client: its cookie is due, and the response depends on it
	clientDue   bool   // the client cookie is missing, or old enough to be sent again

	change   Change
	session  Session
	lifetime time.Duration // of the session cookie
	decided  time.Time     // when change was set
	clears   bool          // the request has ended its session
	withhold bool          // see Withhold
	private  bool          // the response contains a secret in addition to cookies

	vary    [1]string // see varyOnCookie
	cookies []string  // the Set-Cookie lines that have been written
	token   []string  // the TokenHeader that has been written; nil: none
}

// Begin makes a the answer to what p presents.
func (a *Answer) Begin(p *Presented) { a.presented = p }

// SetSession has the response set the session credential. lifetime is that of the cookie: see
// MaxAge and UntilBrowserCloses.
func (a *Answer) SetSession(cred Session, lifetime time.Duration) {
	a.change, a.session, a.lifetime, a.decided = Set, cred, lifetime, time.Now()
}

// RemoveSession has the response remove the session credential.
func (a *Answer) RemoveSession() { a.change, a.decided = Remove, time.Now() }

// ClearSite has the response tell the browser to forget what Config.ClearSiteData names.
func (a *Answer) ClearSite() { a.clears = true }

// Withhold has the response set no session cookie of a guest, and remove none: the browser may have
// a cookie that is still good. Client cookies and logins are not affected.
func (a *Answer) Withhold() { a.withhold = true }

// SetPrivate keeps the response from caches, whatever it sets: it contains another secret.
func (a *Answer) SetPrivate() { a.private = true }

// Pending is a change that has not been written to a response yet.
type Pending struct {
	Change  Change
	Session Session   // that is set
	Decided time.Time // when the change was set
}

// Pending returns what WriteTo will do with the session credential.
func (a *Answer) Pending() Pending { return Pending{a.change, a.session, a.decided} }

// Due reports whether WriteTo may have a cookie to write, or to withhold.
func (a *Answer) Due() bool { return a.change != Keep || a.clears || a.clientDue }

// Withdraw undoes the change p, and a ClearSite, unless another change has followed it.
func (a *Answer) Withdraw(p Pending) {
	if a.change == p.Change && a.session.Token == p.Session.Token {
		a.change, a.clears = Keep, false
	}
}

// CopyTo adds the credentials that WriteTo has written, to any header, to h.
func (a *Answer) CopyTo(h http.Header) {
	if len(a.cookies) > 0 {
		h["Set-Cookie"] = append(slices.Clip(h["Set-Cookie"]), a.cookies...)
	}
	if a.token != nil {
		h[TokenHeader] = slices.Clone(a.token)
	}
}

// Forget releases the credentials that have been written, when the response has left.
func (a *Answer) Forget() { a.cookies, a.token = nil, nil }

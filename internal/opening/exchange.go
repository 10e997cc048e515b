package opening

import (
	"net/http"
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/devicebound"
)

// Exchange is what one request presents and what its response sets. Opener.Begin fills it in; it
// must not be copied after that. It is safe for concurrent use, but only one goroutine at a time
// may open a session.
type Exchange struct {
	o         *Opener
	began     time.Time
	presented credentials.Presented
	device    devicebound.Presented
	direct    bool // there is no request: see Opener.BeginToken

	mu         sync.Mutex
	answer     credentials.Answer
	newest     string // the client's session when the request began
	mismatched bool   // the session came with another client's cookie, or with none
	outrun     bool   // see noteOutrun
	imports    bool   // see OpenImported
}

// Cookie is a session credential for the client, and how long the client is to keep it: see
// credentials.Answer.SetSession.
type Cookie struct {
	credentials.Session
	Lifetime time.Duration
}

// Began returns when the request began.
func (x *Exchange) Began() time.Time { return x.began }

// Presented returns what the request presents, which must not be changed.
func (x *Exchange) Presented() *credentials.Presented { return &x.presented }

// Client returns the client that the request is attributed to. isNew reports whether no other
// request can have named it yet.
func (x *Exchange) Client() (id string, isNew bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.answer.ClientID(), x.answer.ClientIsNew()
}

// AskClient returns the client for an application that asks for it: its cookie is due.
func (x *Exchange) AskClient() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer.AskClient()
	return x.answer.ClientID()
}

// NewestBefore returns the session that the client had when the request began, "" for none.
func (x *Exchange) NewestBefore() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.newest
}

// Mismatched reports whether the session came with another client's cookie, or with none.
func (x *Exchange) Mismatched() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mismatched
}

// SetSession has the response set the session credential.
func (x *Exchange) SetSession(c Cookie) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer.SetSession(c.Session, c.Lifetime)
}

// EndSession has the response remove the session credential, and make the browser clear the
// session's data.
func (x *Exchange) EndSession() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer.ClearSite()
	x.answer.RemoveSession()
}

// SetPrivate keeps the response from caches, whatever it sets.
func (x *Exchange) SetPrivate() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer.SetPrivate()
}

// Pending reports whether the response has yet to set or remove the session credential.
func (x *Exchange) Pending() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.answer.Pending().Change != credentials.Keep
}

// WriteTo adds what is due to the header of the response.
func (x *Exchange) WriteTo(h http.Header, to credentials.Response) (credentials.Effects, error) {
	x.mu.Lock()
	due := x.answer.Due()
	x.mu.Unlock()
	if due {
		x.o.cfg.Codec.AskOrigin(&to) // runs the application's code: not under the lock
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.answer.WriteTo(h, to)
}

// CopyTo adds the credentials that have been written, to any header, to h.
func (x *Exchange) CopyTo(h http.Header) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer.CopyTo(h)
}

// Forget releases the credentials that have been written, when the response has left.
func (x *Exchange) Forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer.Forget()
}

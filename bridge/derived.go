package bridge

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
)

// errOtherRequest: the context knows a request, but not this one.
var errOtherRequest = fmt.Errorf("%w: it has the context of another request, and other cookies", ErrNoMiddleware)

// requestFor returns what b knows of r. A request that has the context of another one, as
// sub-requests and proxies make them, is that one for all that concerns the session, unless it
// presents other credentials: then it is errOtherRequest.
func (b *Bridge) requestFor(r *http.Request) (*request, error) {
	rq, err := b.requestOf(r.Context())
	if err != nil {
		return nil, err
	}
	if outer := rq.current(); outer != nil && rq.differs(outer, r) {
		return nil, errOtherRequest
	}
	return rq, nil
}

// covers reports whether r is the request that rq is of, or goes on with its session, and needs no
// request of its own.
func (rq *request) covers(r *http.Request) bool {
	outer := rq.current()
	return outer != nil && !rq.differs(outer, r)
}

// current returns the request as long as its handler runs, and then nil.
func (rq *request) current() *http.Request {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.r
}

// differs reports whether r presents a session, or a client, and not those of outer. One that
// presents none goes on with outer's.
func (rq *request) differs(outer, r *http.Request) bool {
	if sameHeader(outer.Header, r.Header) { // as in all that WithContext makes
		return false
	}
	if ticket, ok := credentials.Offered(r, credentials.TicketPrefix); ok && (rq.carrier != byTicket || ticket != rq.text) {
		return true
	}
	if rq.b.opts.TokenFrom != nil {
		if token, ok := rq.b.opts.TokenFrom(r); ok && token != "" && (rq.carrier != byToken || token != rq.text) {
			return true
		}
	}
	presented, equal := false, true
	for _, name := range []string{rq.b.codec.SessionName(rq.secure), rq.b.codec.ClientNameFor(rq.secure)} {
		theirs := r.CookiesNamed(name)
		presented = presented || len(theirs) > 0
		equal = equal && slices.EqualFunc(theirs, outer.CookiesNamed(name), func(a, b *http.Cookie) bool { return a.Value == b.Value })
	}
	return presented && !equal
}

// sameHeader reports whether a and b are one map.
func sameHeader(a, b http.Header) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

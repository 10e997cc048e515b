package bridge

import (
	"fmt"
	"net/http"
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
	if outer := rq.current(); outer != nil && rq.presented.Differs(outer, r) {
		return nil, errOtherRequest
	}
	return rq, nil
}

// covers reports whether r is the request that rq is of, or goes on with its session, and needs no
// request of its own.
func (rq *request) covers(r *http.Request) bool {
	outer := rq.current()
	return outer != nil && !rq.presented.Differs(outer, r)
}

// current returns the request as long as its handler runs, and then nil.
func (rq *request) current() *http.Request {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	return rq.r
}

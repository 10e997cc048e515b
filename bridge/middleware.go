package bridge

import (
	"errors"
	"net"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
	"github.com/sessionbridge/sessionbridge/internal/site"
)

// Handler returns next with sessions. The cookies of a request are verified first; an invalid
// cookie is treated as absent.
//
// Session changes are stored before the first byte of the response. If that fails the client gets
// an error at once, in place of the handler's response, and all writes of the handler return the
// cause: HTTPStatus gives the status, and Options.ErrorHandler composes the answer. Later changes
// are stored when the handler returns; if that fails the connection is aborted. If the handler
// panics nothing more is stored.
//
// The handler must write to the ResponseWriter that it gets. A write that bypasses it, as a
// middleware of another framework may do, sends a response before the session is stored and without
// its cookies. If the framework's writer reports that, a change that needs a cookie fails with
// ErrHeadersSent, ErrBypassed is reported, and the connection is aborted. docs/routers.md has the
// right middleware for each framework.
//
// A request that never asks for its session doesn't access the store. The ResponseWriter keeps the
// optional interfaces of the one below it.
func (b *Bridge) Handler(next http.Handler) http.Handler {
	next = b.withDevices(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if outer, err := b.requestFor(r); err == nil && outer.current() != nil { // wrapped twice
			next.ServeHTTP(w, r)
			return
		}
		w = responsewriter.Expose(w)
		rq := b.newRequest(w, r)
		returned := false
		defer func() {
			if !returned {
				rq.abandon(w)
				if rq.failure() != nil {
					rq.repanic(recover())
				}
			}
			rq.close()
		}()
		next.ServeHTTP(responsewriter.Wrap(w, (*responseGate)(rq)), r.WithContext(rq))
		returned = true
		rq.finish()
	})
}

// withDevices returns next with the endpoints of Options.DeviceBound.
func (b *Bridge) withDevices(next http.Handler) http.Handler {
	if b.devices == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.devices.Serve(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// responseGate is the request as a responsewriter.Gate: it commits the session before the first
// byte. If that fails the client gets the error, and so does the handler when it writes.
type responseGate request

func (g *responseGate) Answering(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.response.sent {
		g.response.status = status
	}
}

func (g *responseGate) Begin() error { return (*request)(g).begin() }

func (g *responseGate) Err() error { return (*request)(g).failure() }

func (g *responseGate) Hijacked(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hijacked = conn
}

// begin prepares the response before its first byte.
func (rq *request) begin() error {
	err := rq.prepare()
	if err == nil {
		rq.mu.Lock()
		defer rq.mu.Unlock()
		rq.response.sent = true
	}
	return err
}

// prepare stores the session's changes and sets the cookies, unless the response has begun. After
// an error the client has received the error, and the handler's response must not be sent.
func (rq *request) prepare() error {
	rq.mu.Lock()
	sent, failed, s, w := rq.response.sent, rq.response.failed, rq.session, rq.w
	upgrading := rq.r == nil || site.Upgrades(rq.r)
	rq.mu.Unlock()
	if sent || failed != nil || w == nil {
		return failed
	}
	if s != nil && responsewriter.Begun(w) {
		return rq.bypassed(s)
	}
	var err error
	if s != nil {
		err = s.commit(rq)
	}
	if err == nil {
		rq.creds.DropOvertaken(rq)
		if s != nil && !upgrading { // browsers may drop the cookies of a 101
			s.renewToken(rq, w.Header())
		}
		err = rq.setCookies(w.Header())
	}
	if err == nil && s != nil && !upgrading {
		rq.offerDevice(s, w.Header())
	}
	if err != nil {
		rq.fail(w, err)
	}
	return err
}

// offerDevice has the response to a login offer the browser to bind the session to its device. The
// browser gets the session cookie over a connection that it takes for secure.
func (rq *request) offerDevice(s *Session, h http.Header) {
	if rq.b.devices == nil {
		return
	}
	if presented := rq.creds.Presented(); presented.Carrier != credentials.ByCookies || !presented.Secure() {
		return
	}
	s.lock()
	defer s.unlock()
	if s.logins > 0 && s.fate == fateAlive {
		rq.b.devices.Offer(h, s.draft.Base())
	}
}

// bypassed makes the first commit of a request whose response has begun without it. Changes that
// need no cookie are stored. A lost cookie is an error: the response is aborted, because it reports
// a success.
func (rq *request) bypassed(s *Session) error {
	rq.mu.Lock()
	rq.response.sent = true
	rq.mu.Unlock()
	err := s.commit(rq)
	if err == nil && !rq.creds.Pending() {
		return nil
	}
	err = errors.Join(ErrBypassed, err)
	rq.b.stats.failedCommits.Add(1)
	rq.reportFailure("set a session's cookies: the connection is aborted", err)
	rq.tear(err)
	return err
}

// finish is called when the handler has returned. If the handler has written nothing, it sends an
// empty 200.
func (rq *request) finish() {
	rq.mu.Lock()
	rq.response.handled = true
	sent, failed, s := rq.response.sent, rq.response.failed, rq.session
	rq.mu.Unlock()
	switch {
	case !sent:
		_ = rq.begin() // the client has received the error
	case failed == nil && s != nil:
		if err := s.commit(rq); err != nil {
			rq.reportCommit("store a session's changes made after the response had begun: the connection is aborted", err)
			rq.tear(err)
		}
	}
	rq.mu.Lock()
	abort := rq.response.torn && rq.hijacked == nil
	rq.mu.Unlock()
	if abort {
		panic(http.ErrAbortHandler) // otherwise the response would look complete
	}
}

// abandon is called when the handler has panicked. A Destroy still takes effect, and the cookies of
// changes that are already stored are set, for an outer middleware that answers the panic.
func (rq *request) abandon(w http.ResponseWriter) {
	var err error
	if s := rq.opened(); s != nil {
		err = s.endAbandoned(rq)
	}
	if !rq.wroteHeaders() {
		err = errors.Join(err, rq.setCookies(w.Header()))
	}
	if err != nil {
		rq.reportFailure("do what a handler that panicked had asked for", err)
	}
}

func (s *Session) endAbandoned(rq *request) error {
	s.lock()
	defer s.unlock()
	if s.ending == "" {
		return nil
	}
	return s.destroy(rq)
}

// close ends the request, and frees the memory of a context that outlives it.
func (rq *request) close() {
	rq.mu.Lock()
	s, later := rq.session, rq.later
	rq.r, rq.w, rq.session, rq.later, rq.hijacked = nil, nil, nil, nil, nil
	rq.outer, rq.gorilla = nil, nil
	rq.mu.Unlock()
	rq.creds.Forget()
	if s != nil {
		s.seal()
	}
	for _, do := range later {
		do()
	}
}

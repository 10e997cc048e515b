package bridge

import (
	"errors"
	"maps"
	"net"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// Handler returns next with sessions. The cookies of a request are verified first; an invalid
// cookie is treated as absent.
//
// Session changes are stored before the first byte of the response leaves. If that fails the client
// gets an error in place of the handler's answer, at once, and all writes of the handler return the
// cause: HTTPStatus gives the status, and Options.ErrorHandler composes the answer. Later changes
// are stored when the handler returns; if that fails the connection is aborted. If the handler
// panics nothing more is stored.
//
// The handler has to write to the ResponseWriter that it is given. A write that bypasses it, as a
// middleware of another framework may do, sends an answer before the session is stored and without
// its cookies. If the framework's writer reports that, a change that needs a cookie fails with
// ErrHeadersSent, ErrBypassed is reported, and the connection is aborted. docs/routers.md has the
// right middleware for each framework.
//
// A request that never asks for its session doesn't access the store. The ResponseWriter keeps the
// optional interfaces of the one below it.
func (b *Bridge) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.serve(w, r, next)
	})
}

func (b *Bridge) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if outer, err := b.requestOf(r.Context()); err == nil && outer.covers(r) { // wrapped twice
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
				rq.settleAbort(recover())
			}
		}
		rq.close()
	}()
	next.ServeHTTP(responsewriter.Wrap(w, (*responseGate)(rq)), r.WithContext(rq))
	returned = true
	rq.finish()
}

// responseGate is the request as its response's gate: it commits the session before the first byte.
// If that fails the client gets the error, and so does the handler when it writes.
type responseGate request

// Answering implements responsewriter.Gate.
func (g *responseGate) Answering(status int) { (*request)(g).answering(status) }

// Begin implements responsewriter.Gate.
func (g *responseGate) Begin() error { return (*request)(g).begin() }

// Err implements responsewriter.Gate.
func (g *responseGate) Err() error { return (*request)(g).failure() }

// Hijacked implements responsewriter.Gate.
func (g *responseGate) Hijacked(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hijacked = conn
}

// begin is called before anything leaves: it prepares the response if nothing has left yet.
func (rq *request) begin() error {
	err := rq.prepare()
	if err == nil {
		rq.mu.Lock()
		defer rq.mu.Unlock()
		rq.sent = true
	}
	return err
}

// prepare stores the session's changes and sets the cookies, if nothing has left yet. An error
// means that the client has been answered with it; the handler's answer must not be sent.
func (rq *request) prepare() error {
	rq.mu.Lock()
	sent, failed, s, w := rq.sent, rq.failed, rq.session, rq.w
	upgrading, passedOver := rq.r == nil || upgrades(rq.r), rq.passed
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
		rq.dropOvertaken()
		if s != nil && !upgrading && !passedOver {
			s.renewToken(rq, w.Header())
		}
		err = rq.setCookies(w.Header())
	}
	if err != nil {
		rq.fail(w, err)
	}
	return err
}

// fail answers the client with err, in place of the handler. It is called once.
func (rq *request) fail(w http.ResponseWriter, err error) {
	rq.mu.Lock()
	rq.failed, rq.sent = err, true
	r, outer, handled := rq.r, rq.outer, rq.handled
	rq.mu.Unlock()
	rq.tellCommit("store a session: the response is replaced by an error", err)
	if r == nil { // the handler has returned meanwhile: its answer is complete
		return
	}
	h := w.Header()
	shared := headersOfErrors(h)
	clear(h)
	maps.Copy(h, outer) // set by outer middleware, such as the encoding of the answer
	maps.Copy(h, shared)
	cachecontrol.Forbid(h)
	// A failed commit has set no cookie. Those of an earlier one are still valid.
	rq.mu.Lock()
	rq.answer.CopyTo(h)
	rq.mu.Unlock()
	if e := rq.setCookies(h); e != nil {
		rq.tell("set a cookie", e)
	}
	if !handled && r.ProtoMajor == 1 {
		h.Set("Connection", "close") // the handler may still run for long: no other request must wait for it
	}
	rq.b.refuse(w, r.WithContext(rq), err)
	if !handled {
		responsewriter.Flush(w)
	}
}

// finish is called when the handler has returned. If it has written nothing the answer is an empty
// 200.
func (rq *request) finish() {
	rq.mu.Lock()
	rq.handled = true
	sent, failed, s := rq.sent, rq.failed, rq.session
	rq.mu.Unlock()
	switch {
	case !sent:
		_ = rq.begin() // the client has the error
	case failed == nil && s != nil:
		if err := s.commit(rq); err != nil {
			rq.tellCommit("store a session's changes made after the response had begun: the connection is aborted", err)
			rq.tear(err)
		}
	}
	rq.mu.Lock()
	abort := rq.torn && rq.hijacked == nil
	rq.mu.Unlock()
	if abort {
		panic(http.ErrAbortHandler) // the client must not take the response for complete
	}
}

// abandon is called when the handler has panicked. A Destroy still takes effect, and the cookies of
// changes that were stored before are set, for an outer middleware that answers the panic.
func (rq *request) abandon(w http.ResponseWriter) {
	err := rq.endAbandoned()
	if !rq.wroteHeaders() {
		err = errors.Join(err, rq.setCookies(w.Header()))
	}
	if err != nil {
		rq.tell("do what a handler that panicked had asked for", err)
	}
}

func (rq *request) endAbandoned() error {
	s := rq.opened()
	if s == nil {
		return nil
	}
	s.lock()
	defer s.unlock()
	if s.ending == "" {
		return nil
	}
	return s.destroy(rq)
}

// close ends the request. Contexts that outlive it keep nothing of it in memory.
func (rq *request) close() {
	rq.mu.Lock()
	s, later := rq.session, rq.later
	rq.r, rq.w, rq.session, rq.later, rq.hijacked = nil, nil, nil, nil, nil
	rq.opening, rq.outer, rq.gorilla = nil, nil, nil
	rq.answer.Forget()
	rq.mu.Unlock()
	if s != nil {
		s.seal()
	}
	for _, do := range later {
		do()
	}
}

package bridge

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"

	"github.com/felixge/httpsnoop"
)

// Handler returns next with sessions. Both cookies are verified on the way in; a cookie that fails
// is as good as none. What a request changes in its session is stored before the first byte of its
// response leaves. If that fails the client gets an error instead of the handler's answer, at once,
// and everything that the handler writes returns the cause: HTTPStatus is the status,
// Options.ErrorHandler composes the answer. What is changed after the first byte is stored when the
// handler returns; if that fails the connection is aborted. A handler that panics stores nothing
// more.
//
// The handler has to write through the ResponseWriter that it is given. One that writes past it, as
// a middleware of another framework may, sends its answer before the session is stored and without
// its cookies: where the framework's writer tells that, a change that needs a cookie fails with
// ErrHeadersSent, ErrBypassed is reported, and the connection is aborted. docs/routers.md has the
// right middleware for each framework.
//
// A request that never asks for its session costs no store access. The ResponseWriter keeps the optional interfaces of the one below it.
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
	w = reach(w)
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
	next.ServeHTTP(httpsnoop.Wrap(w, rq.hooks(w)), r.WithContext(rq))
	returned = true
	rq.finish()
}

// hooks commit the session before the first byte, whichever way it is about to leave. Informational
// responses (1xx) pass. When that has failed the client has got the error instead, and whoever
// writes gets it, too.
func (rq *request) hooks(w http.ResponseWriter) httpsnoop.Hooks {
	return httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				informational := code < 200 && code != http.StatusSwitchingProtocols
				if !informational {
					rq.answering(code)
				}
				if informational && rq.failure() == nil || !informational && rq.begin() == nil {
					next(code)
					if code == http.StatusSwitchingProtocols {
						sendHeader(w)
					}
				}
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(p []byte) (int, error) {
				if err := rq.begin(); err != nil {
					return 0, err
				}
				return next(p)
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) {
				if err := rq.begin(); err != nil {
					return 0, err
				}
				return next(src)
			}
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() {
				_ = rq.begin() // the error is in what leaves, and in what the next Write returns
				next()
			}
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error {
				if err := rq.begin(); err != nil {
					_ = next() // sends the error
					return err
				}
				return next()
			}
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				if err := rq.begin(); err != nil {
					return nil, nil, err
				}
				conn, buf, err := next()
				rq.mu.Lock()
				defer rq.mu.Unlock()
				rq.hijacked = conn
				return conn, buf, err
			}
		},
	}
}

// begin is called before the first byte leaves, and later.
func (rq *request) begin() error {
	err := rq.prepare()
	if err == nil {
		rq.mu.Lock()
		defer rq.mu.Unlock()
		rq.sent = true
	}
	return err
}

// prepare stores what has changed and sets the cookies, as long as nothing has left. An error means that the client has been answered with
// it, and that the handler's answer is not to be sent.
func (rq *request) prepare() error {
	rq.mu.Lock()
	sent, failed, s, w := rq.sent, rq.failed, rq.session, rq.w
	upgrading, passedOver := rq.r == nil || upgrades(rq.r), rq.passed
	rq.mu.Unlock()
	if sent || failed != nil || w == nil {
		return failed
	}
	if s != nil && responseBegun(w) {
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

// fail answers the client with err, once, in place of whatever the handler has to say.
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
	maps.Copy(h, outer) // how the answer is encoded, say, is not the handler's
	maps.Copy(h, shared)
	forbidCaches(h)
	// A failed commit has set no cookie. Those of an earlier one are still valid.
	rq.mu.Lock()
	rq.answer.CopyTo(h)
	rq.mu.Unlock()
	if e := rq.setCookies(h); e != nil {
		rq.tell("set a cookie", e)
	}
	if !handled && r.ProtoMajor == 1 {
		h.Set("Connection", "close") // the handler may go on for as long as it likes: no other request is to wait for it
	}
	rq.b.refuse(w, r.WithContext(rq), err)
	if !handled {
		flushError(w)
	}
}

// finish is called when the handler has returned: with an answer, or with none, which is an empty 200.
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
		panic(http.ErrAbortHandler) // the client must not take the response for a whole one
	}
}

// abandon is called when the handler has panicked. A Destroy counts all the same, and the cookies of what was stored before are set, for
// a middleware outside that answers the panic.
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

// close ends the request: nothing of it is kept alive by contexts that outlive it.
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

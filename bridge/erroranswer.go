package bridge

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
	"github.com/sessionbridge/sessionbridge/internal/erroranswer"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// WriteError answers a request with an error, as the Bridge answers those that it refuses itself:
// with HTTPStatus of the error, a sentence that a client may read, and Cache-Control: no-store. A
// client that prefers JSON by its Accept header gets application/problem+json (RFC 9457), others
// get text/plain. The text of err itself is not sent: it may name what is not the client's
// business. A nil err is answered as an error of the application, with 500.
//
// It must be called before anything else is written. Bridge.WriteError respects
// Options.ErrorHandler.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	status, text := errorStatus(err), clientText(err)
	presetErrorHeader(w.Header(), status)
	erroranswer.Write(w, r.Header["Accept"], status, text)
}

// WriteError answers a request with an error the way the Bridge answers those that it refuses
// itself: with Options.ErrorHandler, by default with the function WriteError. An error that the
// client didn't cause (500, 503) is also reported to Options.Logger and OnFailure, as its text
// isn't sent. It must be called before anything else is written.
func (b *Bridge) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if !causedByClient(err) && r.Context().Value(answeringKey{b}) == nil { // otherwise it is reported already
		f := Failure{Doing: "handle a request: it is answered with an error", Err: err}
		if rq, e := b.requestOf(r.Context()); e == nil {
			if s := rq.opened(); s != nil {
				f.SessionID = s.id
			}
		}
		b.failed(r.Context(), slog.LevelError, f)
	}
	b.refuse(w, r, err)
}

// refuse answers a request with err, through a ResponseWriter of the handler's.
func (b *Bridge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Value(answeringKey{b}) != nil { // Options.ErrorHandler calls WriteError
		WriteError(w, r, err)
		return
	}
	presetErrorHeader(w.Header(), errorStatus(err))
	b.composeError(w.Header(), r, err).Send(w)
}

// presetErrorHeader sets what holds of every error answer, before an Options.ErrorHandler looks at
// it.
func presetErrorHeader(h http.Header, status int) {
	cachecontrol.Forbid(h)
	erroranswer.RetryLater(h, status)
}

// answeringKey marks the context of a request that Options.ErrorHandler answers.
type answeringKey struct{ b *Bridge }

// composeError has Options.ErrorHandler compose the answer to err. It calls it under no lock. If
// that panics or writes nothing, the answer is the default one.
func (b *Bridge) composeError(header http.Header, r *http.Request, err error) *erroranswer.Answer {
	if handler := b.opts.ErrorHandler; handler != nil {
		a := erroranswer.New(header)
		asked := r.WithContext(context.WithValue(r.Context(), answeringKey{b}, true))
		if b.runErrorHandler(handler, a, asked, err) && a.Written() {
			a.Restrict(errorStatus(err), header, SessionTokenHeader)
			cachecontrol.Forbid(a.Header())
			return a
		}
	}
	a := erroranswer.New(header)
	WriteError(a, r, err)
	return a
}

func (b *Bridge) runErrorHandler(
	handler func(http.ResponseWriter, *http.Request, error), a *erroranswer.Answer, r *http.Request, err error,
) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			b.panicked(r.Context(), "error handler panicked", "call Options.ErrorHandler: it panicked", "", p)
		}
	}()
	handler(a, r, err)
	return true
}

// fail answers the client with err, in place of the handler. It is called once.
func (rq *request) fail(w http.ResponseWriter, err error) {
	rq.setFailed(err)
	rq.mu.Lock()
	r, outer, handled := rq.r, rq.outer, rq.response.handled
	rq.mu.Unlock()
	rq.tellCommit("store a session: the response is replaced by an error", err)
	if r == nil { // the handler has returned meanwhile: its answer is complete
		return
	}
	h := w.Header()
	erroranswer.Reset(h, outer)
	cachecontrol.Forbid(h)
	// A failed commit has set no cookie. Those of an earlier one are still valid.
	rq.creds.CopyTo(h)
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

// tellCommit reports that a request's changes were not stored. One that its client has caused, by a
// login in another tab or a session too large, is no failure.
func (rq *request) tellCommit(doing string, err error) {
	if !causedByClient(err) {
		rq.b.stats.failedCommits.Add(1)
		rq.tell(doing, err)
		return
	}
	rq.b.stats.refusedCommits.Add(1)
	id := ""
	if s := rq.opened(); s != nil {
		id = s.id
	}
	rq.b.opts.Logger.LogAttrs(rq, slog.LevelDebug, "refused",
		slog.String("doing", doing), slog.Any("error", err), rq.b.logSession(id))
}

// tear notes that the client has a part of the handler's answer, whose rest is not to come.
func (rq *request) tear(err error) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.response.failed, rq.response.torn = err, true
}

// settleAbort is called with the panic of a handler whose client has got an error instead of its
// answer. That is complete: a handler that aborts its own, as httputil.ReverseProxy does when it
// can't be written, aborts nothing.
func (rq *request) settleAbort(p any) {
	rq.mu.Lock()
	torn := rq.response.torn
	rq.mu.Unlock()
	if p != nil && (torn || p != http.ErrAbortHandler) { //nolint:errorlint // as net/http has it
		panic(p)
	}
}

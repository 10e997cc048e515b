package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
	"github.com/sessionbridge/sessionbridge/internal/erroranswer"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/responsewriter"
)

// WriteError answers a request with an error, as the Bridge answers those that it refuses itself:
// with HTTPStatus of the error, a sentence for the client, and Cache-Control: no-store. A client
// that prefers JSON by its Accept header gets application/problem+json (RFC 9457), others get
// text/plain. The text of err itself is not sent, because it may contain internals. A nil err is
// answered like an error of the application, with 500.
//
// Call it before the response begins. Bridge.WriteError respects Options.ErrorHandler.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	status, text := errorcodes.ErrorStatus(err), errorcodes.Text(err)
	presetErrorHeader(w.Header(), err)
	erroranswer.Write(w, r.Header["Accept"], status, text)
}

// WriteError answers a request with an error as the Bridge answers those that it refuses itself:
// with Options.ErrorHandler, by default with the function WriteError. An error that the client
// didn't cause (500, 503) is also reported to Options.Logger and OnFailure. Call it before the
// response begins.
func (b *Bridge) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if !errorcodes.CausedByClient(err) && r.Context().Value(answeringKey{b}) == nil { // otherwise it is reported already
		id := ""
		if rq, e := b.requestOf(r.Context()); e == nil {
			id = rq.sessionID()
		}
		b.report.Failed(r.Context(), slog.LevelError, "handle a request: it is answered with an error", id, err)
	}
	b.refuse(w, r, err)
}

// answeringKey marks the context of a request that Options.ErrorHandler answers.
type answeringKey struct{ b *Bridge }

// refuse answers a request with err, through the handler's ResponseWriter.
func (b *Bridge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Value(answeringKey{b}) != nil { // Options.ErrorHandler calls WriteError
		WriteError(w, r, err)
		return
	}
	presetErrorHeader(w.Header(), err)
	a := b.composeError(w.Header(), r, err)
	if a == nil {
		a = erroranswer.New(w.Header())
		WriteError(a, r, err)
	}
	a.Send(w)
}

// presetErrorHeader sets the header fields of every error answer, before Options.ErrorHandler runs.
func presetErrorHeader(h http.Header, err error) {
	cachecontrol.Forbid(h)
	var exceeded *allowance.Exceeded
	if errors.As(err, &exceeded) {
		seconds := (exceeded.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	erroranswer.RetryLater(h, errorcodes.ErrorStatus(err))
}

// composeError calls Options.ErrorHandler, under no lock. It returns nil if there is none, or if it
// panics or writes nothing.
func (b *Bridge) composeError(header http.Header, r *http.Request, err error) *erroranswer.Answer {
	if b.opts.ErrorHandler == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			b.report.Panicked(r.Context(), "error handler panicked", "call Options.ErrorHandler: it panicked", "", p)
		}
	}()
	a := erroranswer.New(header)
	b.opts.ErrorHandler(a, r.WithContext(context.WithValue(r.Context(), answeringKey{b}, true)), err)
	if !a.Written() {
		return nil
	}
	a.Restrict(errorcodes.ErrorStatus(err), header, SessionTokenHeader)
	cachecontrol.Forbid(a.Header())
	return a
}

// fail answers the client with err, in place of the handler's response. It is called once.
func (rq *request) fail(w http.ResponseWriter, err error) {
	rq.setFailed(err)
	rq.mu.Lock()
	r, outer, handled := rq.r, rq.outer, rq.response.handled
	rq.mu.Unlock()
	rq.reportCommit("store a session: the response is replaced by an error", err)
	if r == nil { // the handler has returned meanwhile: its response is complete
		return
	}
	h := w.Header()
	erroranswer.Reset(h, outer)
	cachecontrol.Forbid(h)
	rq.creds.CopyTo(h) // the cookies of an earlier commit are still valid; the failed one has set none
	if e := rq.setCookies(h); e != nil {
		rq.reportFailure("set a cookie", e)
	}
	if !handled && r.ProtoMajor == 1 {
		h.Set("Connection", "close") // the handler may run on for long, and must not delay other requests
	}
	rq.b.refuse(w, r.WithContext(rq), err)
	if !handled {
		responsewriter.Flush(w)
	}
}

// reportCommit reports that a request's changes were not stored. An error that the client has
// caused, by a login in another tab or too large a session, is no failure.
func (rq *request) reportCommit(doing string, err error) {
	if !errorcodes.CausedByClient(err) {
		rq.b.stats.failedCommits.Add(1)
		rq.reportFailure(doing, err)
		return
	}
	rq.b.stats.refusedCommits.Add(1)
	rq.b.opts.Logger.LogAttrs(rq, slog.LevelDebug, "refused",
		slog.String("doing", doing), slog.Any("error", err), rq.b.report.Session(rq.sessionID()))
}

// tear records that the client has a part of the handler's response, which must not be completed.
func (rq *request) tear(err error) {
	rq.mu.Lock()
	defer rq.mu.Unlock()
	rq.response.failed, rq.response.torn = err, true
}

// repanic continues the panic p of a handler whose client has got an error instead of its response.
// It drops http.ErrAbortHandler, with which httputil.ReverseProxy reacts to a failed write, if the
// answer is complete.
func (rq *request) repanic(p any) {
	if p != nil && (rq.progress().torn || p != http.ErrAbortHandler) { //nolint:errorlint // as net/http has it
		panic(p)
	}
}

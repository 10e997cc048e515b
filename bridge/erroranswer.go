package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
	"github.com/sessionbridge/sessionbridge/internal/erroranswer"
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

func (b *Bridge) runErrorHandler(handler func(http.ResponseWriter, *http.Request, error), a *erroranswer.Answer, r *http.Request, err error) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			b.panicked(r.Context(), "error handler panicked", "call Options.ErrorHandler: it panicked", "", p)
		}
	}()
	handler(a, r, err)
	return true
}

// errorStatus is HTTPStatus, but an error for nil.
func errorStatus(err error) int {
	if err == nil {
		return http.StatusInternalServerError
	}
	return HTTPStatus(err)
}

// causedByClient reports whether the error is the doing of the client: no failure that an operator
// needs to know of.
func causedByClient(err error) bool {
	if errors.Is(err, context.Canceled) && !errors.Is(err, ErrStoreUnavailable) { // it has gone away
		return true
	}
	return errorStatus(err) < http.StatusInternalServerError
}

// clientTexts are the sentences that tell a client of an error. The first one that matches counts.
var clientTexts = []struct {
	err  error
	text string
}{
	{ErrTokenRotated, "The session changed meanwhile. Try again."},
	{ErrConflict, "The session changed meanwhile, again and again. Try again."},
	{ErrTicket, "The ticket is invalid or has expired."},
	{ErrSessionGone, "The session has ended."},
	{ErrSessionMissing, "There is no session."},
	{ErrAuthAge, "A more recent login is needed."},
	{ErrOrigin, "Connections from pages of this origin are not allowed."},
	{ErrTooManySessions, "You are logged in on as many devices as you may be. Log out on one of them, then log in here."},
	{ErrTooManyAddrConns, "There are too many connections from your address."},
	{ErrTooManySessionConns, "The session has too many connections."},
	{ErrTooManyConns, "There are too many connections."},
	{ErrUserID, "The user ID is invalid."},
	{ErrHandshake, "This is for WebSocket connections."},
	{ErrConnID, "The connection ID is invalid."},
	{ErrSessionTooLarge, "The session could not be stored: it would become too large."},
	{ErrShutdown, "The server is shutting down. Try again later."},
	{ErrOverloaded, "Too many connections are being opened. Try again later."},
	{ErrStoreUnavailable, "The session could not be stored or read. Try again later."},
	{ErrNodeSilent, "A part of the server has not answered. Try again later."},
}

// clientText returns what a client may know of err: of an error of the application, nothing but its
// status.
func clientText(err error) string {
	for _, t := range clientTexts {
		if errors.Is(err, t.err) {
			return t.text
		}
	}
	var value *ValueError
	if errors.As(err, &value) {
		return "The session could not be stored."
	}
	return http.StatusText(errorStatus(err))
}

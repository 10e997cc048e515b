package errorcodes

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
)

// answer is the answer to an error. A field that is zero is taken from the next answer that matches
// the error.
type answer struct {
	err    error
	status int
	code   int
	text   string
	reason string // of a close, only with the code of the same row
}

// answers are the answers to all errors. If an error matches several, the first one counts.
var answers = []answer{
	{ErrHandshake, 400, 0, "This is for WebSocket connections.", ""},
	{gateway.ErrTokenRotated, 409, Reconnect, "The session changed meanwhile. Try again.", ReasonReconnect},
	{gateway.ErrConflict, 409, 0, "The session changed meanwhile, again and again. Try again.", ""},
	{tickets.ErrInvalid, 0, 0, "The ticket is invalid or has expired.", ""}, // also for a handshake: see OfHandshake
	{gateway.ErrGone, 401, Destroyed, "The session has ended.", ""},
	{gateway.ErrMissing, 401, NoSession, "There is no session.", ReasonNoSession},
	{ErrCredentials, 401, NoSession, "The session token is invalid.", ""},
	{ErrAuthAge, 401, 0, "A more recent login is needed.", ""},
	{ErrPlainHTTP, 403, Policy, "Connections need TLS: use wss.", ""},
	{ErrOrigin, 403, Policy, "Connections from pages of this origin are not allowed.", ""},
	{tickets.ErrInvalid, 403, Policy, "", ""},
	{logins.ErrTooMany, 403, 0, "You are logged in on as many devices as you may be. " +
		"Log out on one of them, then log in here.", ""},
	{
		ErrTooManyAddrConns, 429, Policy, "There are too many connections from your address.",
		"there are too many connections from the address",
	},
	{ErrTooManySessionConns, 429, Policy, "The session has too many connections.", ReasonTooMany},
	{ErrTooManyConns, 429, Policy, "There are too many connections.", ReasonTooMany},
	{allowance.ErrExceeded, 429, Policy, "Too many requests. Try again later.", ""},
	{logins.ErrUserID, 400, 0, "The user ID is invalid.", ""},
	{ErrIDTaken, 409, Policy, taken, "another connection has this ID"},
	{ErrNameTaken, 409, Policy, taken, "another connection has this name"},
	{ErrConnID, 400, Policy, "The connection ID is invalid.", ""},
	{ErrConnName, 400, Policy, "The connection's name is invalid.", ""},
	{ErrConnMissing, 404, 0, "There is no such connection.", ""},
	{gateway.ErrTooLarge, 413, 0, "The session could not be stored: it would become too large.", ""},
	{ErrShutdown, 503, Shutdown, "The server is shutting down. Try again later.", ReasonShutdown},
	{ErrOverloaded, 503, Unavailable, "Too many connections are being opened. Try again later.", ""},
	{
		gateway.ErrUnavailable, 503, Unavailable, "The session could not be stored or read. Try again later.",
		ReasonUnavailable,
	},
	{cluster.ErrSilent, 503, Unavailable, "A part of the server has not answered. Try again later.", ""},
	{context.DeadlineExceeded, 503, Unavailable, "The server has taken too long. Try again later.", ""}, // of a wait
	{context.Canceled, 503, 0, "The request was canceled. Try again later.", ""},
	// Mistakes of the application, here for a BeforeCommit that returns one.
	{ErrNoCookies, 500, Failed, mistake, ""},
	{ErrHeadersSent, 500, Failed, mistake, ""},
	{ErrNoMiddleware, 500, Failed, mistake, ""},
	{ErrNested, 500, Failed, mistake, ""},
	{ErrSessionClosed, 500, Failed, mistake, ""},
	{ErrRefused, 422, Policy, "The change is not allowed.", "change refused"}, // the last one: its cause may have a row
}

// Texts of several rows.
const (
	taken   = "The connection's ID or name is in use."
	mistake = "Internal Server Error"
)

// first returns the field of the first answer that matches err and in which it isn't zero.
func first[T comparable](err error, field func(*answer) T) T {
	var none T
	for i := range answers {
		if v := field(&answers[i]); v != none && errors.Is(err, answers[i].err) {
			return v
		}
	}
	return none
}

// Status returns the status that answers err: 200 for nil, 500 for an error that isn't in the table.
func Status(err error) int {
	var handshake *handshakeRefusal
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &handshake):
		return handshake.status
	}
	return cmp.Or(first(err, func(a *answer) int { return a.status }), http.StatusInternalServerError)
}

// ErrorStatus is Status, but 500 for nil.
func ErrorStatus(err error) int {
	if err == nil {
		return http.StatusInternalServerError
	}
	return Status(err)
}

// CloseCode returns the close code of a connection whose handler has returned err: 1000 for nil,
// that of a websocket.CloseError, Failed for an error that isn't in the table.
func CloseCode(err error) int {
	var ce websocket.CloseError
	switch {
	case err == nil:
		return int(websocket.StatusNormalClosure)
	case errors.As(err, &ce):
		return int(ce.Code)
	}
	return cmp.Or(first(err, func(a *answer) int { return a.code }), Failed)
}

// Text returns the text that answers err.
func Text(err error) string {
	if text := first(err, func(a *answer) string { return a.text }); text != "" {
		return text
	}
	var value *gateway.ValueError
	if errors.As(err, &value) {
		return "The session could not be stored."
	}
	return http.StatusText(ErrorStatus(err))
}

// CausedByClient reports whether the client has caused the error, which then is no failure.
func CausedByClient(err error) bool {
	if errors.Is(err, context.Canceled) && !errors.Is(err, gateway.ErrUnavailable) { // it has disconnected
		return true
	}
	return ErrorStatus(err) < http.StatusInternalServerError
}

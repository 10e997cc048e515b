package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
)

// Errors of a session. Test with errors.Is.
var (
	// ErrSessionMissing: there is no such session, or it has ended.
	ErrSessionMissing = gateway.ErrMissing
	// ErrSessionGone: the session has ended while it was in use. Nothing was stored.
	ErrSessionGone = gateway.ErrGone
	// ErrSessionClosed: the Session is used after its last commit, when its request or its function
	// of WithSession had returned.
	ErrSessionClosed = errors.New("bridge: the Session is used after its last commit")
	// ErrSessionTooLarge: the session's values together exceed Options.MaxValueBytes.
	ErrSessionTooLarge = gateway.ErrTooLarge
	// ErrTokenRotated: another request has replaced the session's token. A request with the new
	// cookie will succeed.
	ErrTokenRotated = gateway.ErrTokenRotated
	// ErrConflict: other writers changed the session during each of 8 attempts.
	ErrConflict = gateway.ErrConflict
)

// Errors of the use of a session.
var (
	// ErrNoMiddleware: the request has not come through Bridge.Handler, or it has the context of
	// another request that has, but other cookies.
	ErrNoMiddleware = errors.New("bridge: the request did not come through Bridge.Handler")
	// ErrHeadersSent: creating a session, logging in and rotating need a cookie, and the response's
	// headers have been sent.
	ErrHeadersSent = errors.New("bridge: the response's headers have been sent: no session cookie can be set any more")
	// ErrNoCookies: logging in and rotating need a cookie, and there is no response to set it.
	ErrNoCookies = errors.New("bridge: no session cookie can be set here: log in and rotate in an HTTP handler")
	// ErrUserID: the user ID is invalid; see Session.Login.
	ErrUserID = errors.New("bridge: not a user ID")
	// ErrOrigin: Options.OriginPatterns don't allow connections from the page's origin.
	ErrOrigin = errors.New("bridge: connection from another origin")
	// ErrTooManySessions: the user has Options.MaxSessionsPerUser sessions already, and the policy
	// is RefuseLogin.
	ErrTooManySessions = logins.ErrTooMany
	// ErrTooManyConns: the session, or the address, has as many connections as Options allow. Each
	// error of this kind is also one of the next two.
	ErrTooManyConns = errors.New("bridge: too many connections")
	// ErrTooManySessionConns: the session has Options.MaxConnsPerSession connections already.
	ErrTooManySessionConns = fmt.Errorf("%w of the session (Options.MaxConnsPerSession)", ErrTooManyConns)
	// ErrTooManyAddrConns: the client's address has Options.MaxConnsPerAddr connections already.
	ErrTooManyAddrConns = fmt.Errorf("%w from the address (Options.MaxConnsPerAddr)", ErrTooManyConns)
	// ErrHandshake: the request is not a valid WebSocket handshake. HTTPStatus gives the reason:
	// 426 for a plain request, 405 or 400 for a malformed one, 501 if the connection can't be
	// upgraded.
	ErrHandshake = errors.New("bridge: not a WebSocket handshake")
	// ErrConnID: ConnOptions.ID has returned an invalid name, or that of an open connection.
	ErrConnID = errors.New("bridge: not an ID for this connection")
	// ErrTicket: the ticket is malformed, redeemed, expired, or of another session or client.
	ErrTicket = tickets.ErrInvalid
	// ErrAuthAge: the user's last login is too long ago for the request: log in again.
	ErrAuthAge = errors.New("bridge: a more recent login is needed")
	// ErrBypassed: the response was begun on another ResponseWriter than that of Bridge.Handler,
	// and so its cookies could not be set.
	ErrBypassed = errors.New(
		"bridge: the response was not written through the ResponseWriter that Bridge.Handler passes on")
	// ErrPanicked: a function of the application panicked. The log has the value and the stack.
	ErrPanicked = errors.New("bridge: a function of the application panicked")
	// ErrNested: WithSession on another session within WithSession. It could deadlock.
	ErrNested = errors.New("bridge: WithSession on another session within WithSession")
)

// Errors of the store, of other processes and of the Bridge.
var (
	// ErrStoreUnavailable: the store failed or was too slow. The change may have been stored.
	ErrStoreUnavailable = gateway.ErrUnavailable
	// ErrNodeSilent: another process on the same store has not answered in time. The results and
	// effects of the other processes count.
	ErrNodeSilent = cluster.ErrSilent
	// ErrOverloaded: Options.MaxHandshakes or HandshakesPerSecond is exceeded.
	ErrOverloaded = errors.New("bridge: too many handshakes")
	// ErrShutdown: the Bridge has been shut down.
	ErrShutdown = errors.New("bridge: shut down")
	// ErrUnsupported: the store lacks the capability that the call needs; the error names it.
	ErrUnsupported = errors.ErrUnsupported
)

// ValueError is the error of a session's value that can't be stored. It names the key.
type ValueError = gateway.ValueError

// HTTPStatus returns the status that answers err. The Bridge's own answers use the same table:
//
//	200  nil
//	400  ErrUserID, ErrConnID
//	401  ErrSessionMissing, ErrSessionGone, ErrAuthAge
//	403  ErrOrigin, ErrTicket, ErrTooManySessions
//	409  ErrTokenRotated, ErrConflict: repeating the request with the newest cookie succeeds
//	413  ErrSessionTooLarge
//	426  ErrHandshake of a plain request, else 400, 405 or 501
//	429  ErrTooManyConns
//	503  ErrStoreUnavailable, ErrNodeSilent, ErrOverloaded, ErrShutdown, the end of a context
//	500  any other error: a *ValueError, ErrHeadersSent, an error of the application
func HTTPStatus(err error) int {
	var handshake *handshakeRefusal
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &handshake):
		return handshake.status
	}
	return cmp.Or(firstVerdict(err, func(v *verdict) int { return v.status }), http.StatusInternalServerError)
}

// Close codes of connections, besides 1000 when the handler has returned, 1009 for a message over
// the limit and those that a handler chooses. A client should reconnect after 4000–4499 and must
// not after 4500–4999.
const (
	CodePolicy      = 1008 // a limit was broken
	CodeFailed      = 1011 // the handler panicked or failed
	CodeShutdown    = 1012 // the process is going away
	CodeUnavailable = 1013 // the store is unavailable, or the process is overloaded
	CodeReconnect   = 4001 // the session changed (a login): reconnect with the new cookies
	// CodeIdle: the client has sent nothing for ConnOptions.IdleTimeout, or the connection has
	// reached ConnOptions.MaxAge. Reconnect when there is something to send.
	CodeIdle      = 4002
	CodeDestroyed = 4500 // the session was destroyed: log in again
	CodeExpired   = 4501 // the session expired
	CodeNoSession = 4502 // there was no session at the handshake
	CodeEvicted   = 4503 // a newer login took the session's place

	codeNone         = 0  // of an open connection
	codeClosedByPeer = -1 // or the connection is lost
)

// CloseCode returns the close code of a connection whose handler has returned err.
func CloseCode(err error) int {
	var ce websocket.CloseError
	switch {
	case err == nil:
		return int(websocket.StatusNormalClosure)
	case errors.As(err, &ce):
		return int(ce.Code)
	}
	return cmp.Or(firstVerdict(err, func(v *verdict) int { return v.code }), CodeFailed)
}

// verdict is the answer to an error. A field that is zero is taken from the next verdict that
// matches the error.
type verdict struct {
	err    error
	status int    // HTTPStatus
	code   int    // CloseCode
	text   string // for the client
}

// verdicts are the answers to all errors. If an error matches several, the first one counts.
var verdicts = []verdict{
	{ErrHandshake, 400, 0, "This is for WebSocket connections."},
	{ErrTokenRotated, 409, CodeReconnect, "The session changed meanwhile. Try again."},
	{ErrConflict, 409, 0, "The session changed meanwhile, again and again. Try again."},
	{ErrTicket, 0, 0, "The ticket is invalid or has expired."}, // also for a handshake: see handshakeError
	{ErrSessionGone, 401, CodeDestroyed, "The session has ended."},
	{ErrSessionMissing, 401, CodeNoSession, "There is no session."},
	{ErrAuthAge, 401, 0, "A more recent login is needed."},
	{ErrOrigin, 403, CodePolicy, "Connections from pages of this origin are not allowed."},
	{ErrTicket, 403, CodePolicy, ""},
	{ErrTooManySessions, 403, 0, "You are logged in on as many devices as you may be. " +
		"Log out on one of them, then log in here."},
	{ErrTooManyAddrConns, 429, CodePolicy, "There are too many connections from your address."},
	{ErrTooManySessionConns, 429, CodePolicy, "The session has too many connections."},
	{ErrTooManyConns, 429, CodePolicy, "There are too many connections."},
	{ErrUserID, 400, 0, "The user ID is invalid."},
	{ErrConnID, 400, CodePolicy, "The connection ID is invalid."},
	{ErrSessionTooLarge, 413, 0, "The session could not be stored: it would become too large."},
	{ErrShutdown, 503, CodeShutdown, "The server is shutting down. Try again later."},
	{ErrOverloaded, 503, CodeUnavailable, "Too many connections are being opened. Try again later."},
	{ErrStoreUnavailable, 503, CodeUnavailable, "The session could not be stored or read. Try again later."},
	{ErrNodeSilent, 503, CodeUnavailable, "A part of the server has not answered. Try again later."},
	{context.DeadlineExceeded, 503, CodeUnavailable, ""}, // of a wait
	{context.Canceled, 503, 0, ""},
}

// firstVerdict returns the field of the first verdict that matches err and in which it isn't zero.
func firstVerdict[T comparable](err error, field func(*verdict) T) T {
	var none T
	for i := range verdicts {
		if v := field(&verdicts[i]); v != none && errors.Is(err, verdicts[i].err) {
			return v
		}
	}
	return none
}

// errorStatus is HTTPStatus, but 500 for nil.
func errorStatus(err error) int {
	if err == nil {
		return http.StatusInternalServerError
	}
	return HTTPStatus(err)
}

// causedByClient reports whether the client has caused the error, which then is no Failure.
func causedByClient(err error) bool {
	if errors.Is(err, context.Canceled) && !errors.Is(err, ErrStoreUnavailable) { // it has disconnected
		return true
	}
	return errorStatus(err) < http.StatusInternalServerError
}

// clientText returns the text that answers err. It doesn't depend on the text of err.
func clientText(err error) string {
	if text := firstVerdict(err, func(v *verdict) string { return v.text }); text != "" {
		return text
	}
	var value *ValueError
	if errors.As(err, &value) {
		return "The session could not be stored."
	}
	return http.StatusText(errorStatus(err))
}

// handshakeRefusal is an ErrHandshake with its status.
type handshakeRefusal struct {
	status int
	cause  error
}

func (h *handshakeRefusal) Error() string   { return fmt.Sprintf("%v: %v", ErrHandshake, h.cause) }
func (h *handshakeRefusal) Unwrap() []error { return []error{ErrHandshake, h.cause} }

// closeGrace is the time for a close handshake, after which the connection is cut.
const closeGrace = socket.CloseGrace

// errFrozen: the store could not confirm that the session still exists.
var errFrozen = fmt.Errorf("%w: it has not answered for %v", ErrStoreUnavailable, cluster.FreezeAfter)

// handshakeError returns err, and for ErrTicket an error that is also ErrSessionMissing (401): the
// ticket is the only credential of its handshake, so there is no session.
func handshakeError(err error) error {
	if errors.Is(err, ErrTicket) {
		return fmt.Errorf("%w: %w", ErrSessionMissing, err)
	}
	return err
}

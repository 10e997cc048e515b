package bridge

import (
	"cmp"
	"errors"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/internal/reporting"
	"github.com/sessionbridge/sessionbridge/internal/socket"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
)

// Errors of a session. Test with errors.Is.
var (
	// ErrSessionMissing: there is no such session, or it has ended. Let the user log in; MissingReason
	// and MissingReasonOf say why. On a connection see also onMissing of WithSession.
	ErrSessionMissing = gateway.ErrMissing
	// ErrSessionGone: the session has ended while it was in use, by a logout in another tab for
	// example. Nothing was stored, and it won't return: don't try again.
	ErrSessionGone = gateway.ErrGone
	// ErrSessionClosed: the Session is used after its last commit, when its request or its function
	// of WithSession had returned. Use UpdateByID where there is no request, as in a goroutine.
	ErrSessionClosed = errorcodes.ErrSessionClosed
	// ErrSessionTooLarge: the session's values together exceed Options.MaxValueBytes. Nothing was
	// stored: keep large data elsewhere, and its key in the session.
	ErrSessionTooLarge = gateway.ErrTooLarge
	// ErrTokenRotated: another request has replaced the session's token, as a login does. Repeat the
	// request: with the new cookie, or the new Credentials, it will succeed.
	ErrTokenRotated = gateway.ErrTokenRotated
	// ErrConflict: other writers changed the session during each of 8 attempts. Nothing was stored:
	// try again later, and use WithSession where many change one session.
	ErrConflict = gateway.ErrConflict
)

// Errors of the use of a session.
var (
	// ErrNoMiddleware: the request has not come through Bridge.Handler, or it has the context of
	// another request that has, but other cookies. Wrap the whole application, and pass on the
	// request that the handler has got.
	ErrNoMiddleware = errorcodes.ErrNoMiddleware
	// ErrHeadersSent: creating a session, logging in and rotating need a cookie, and the response's
	// headers have been sent. Do it before the first Write.
	ErrHeadersSent = errorcodes.ErrHeadersSent
	// ErrNoCookies: logging in and rotating need a cookie, and there is no response to set it. With
	// Credentials, LoginCredentials and RotateCredentials do both.
	ErrNoCookies = errorcodes.ErrNoCookies
	// ErrUserID: the user ID is invalid; see Session.Login.
	ErrUserID = logins.ErrUserID
	// ErrPlainHTTP: a WebSocket handshake to another host than this machine came without TLS, as far
	// as the Bridge can tell, and Options.DangerouslyInsecure isn't set. Behind a proxy that ends TLS
	// set TrustedProxies or SecureAlways.
	ErrPlainHTTP = errorcodes.ErrPlainHTTP
	// ErrOrigin: Options.OriginPatterns and CheckOrigin don't allow connections from the page's
	// origin, which isn't the server's own host. The log has both.
	ErrOrigin = errorcodes.ErrOrigin
	// ErrRefused: Options.BeforeCommit has returned an error. Nothing was stored.
	ErrRefused = errorcodes.ErrRefused
	// ErrTooManySessions: the user has Options.MaxSessionsPerUser sessions already, and the policy
	// is RefuseLogin. The user is not logged in: offer to end one of them.
	ErrTooManySessions = logins.ErrTooMany
	// ErrTooManyConns: the session, or the address, has as many connections as Options allow. Each
	// error of this kind is also one of the next two.
	ErrTooManyConns = errorcodes.ErrTooManyConns
	// ErrTooManySessionConns: the session has Options.MaxConnsPerSession connections already.
	ErrTooManySessionConns = errorcodes.ErrTooManySessionConns
	// ErrTooManyAddrConns: the client's address has Options.MaxConnsPerAddr connections already.
	ErrTooManyAddrConns = errorcodes.ErrTooManyAddrConns
	// ErrRateLimited: the client's address or session does something more often than a Rate of
	// Options allows, which the error names: HandshakesPerAddr, HandshakesPerSession,
	// NewSessionsPerAddr, MessagesPerAddr, MessagesPerSession.
	ErrRateLimited = allowance.ErrExceeded
	// ErrHandshake: the request is not a valid WebSocket handshake. HTTPStatus gives the reason:
	// 426 for a plain request, 405 or 400 for a malformed one, 501 if the connection can't be
	// upgraded, because a middleware hides http.Hijacker.
	ErrHandshake = errorcodes.ErrHandshake
	// ErrConnID: the ID of ConnOptions.ID, LinkOptions.ID or Remote.ID is invalid (HTTPStatus: 400),
	// or an open connection has it (409).
	ErrConnID = errorcodes.ErrConnID
	// ErrConnName: the name of ConnOptions.Name, LinkOptions.Name or Remote.Name is invalid (400),
	// or an open connection has it and the policy is RefuseName (409).
	ErrConnName = errorcodes.ErrConnName
	// ErrConnMissing: there is no open connection with the ID.
	ErrConnMissing = errorcodes.ErrConnMissing
	// ErrTicket: the ticket is malformed, redeemed, expired, or of another session or client. Get a
	// new one.
	ErrTicket = tickets.ErrInvalid
	// ErrCredentials: the token of Credentials isn't signed with Options.Keys, or isn't of their
	// SessionID. It wasn't issued here, or the key is gone.
	ErrCredentials = errorcodes.ErrCredentials
	// ErrAuthAge: the user's last login is too long ago for the request: log in again.
	ErrAuthAge = errorcodes.ErrAuthAge
	// ErrBypassed: the response was begun on another ResponseWriter than that of Bridge.Handler,
	// and so its cookies could not be set: see docs/routers.md.
	ErrBypassed = errorcodes.ErrBypassed
	// ErrPanicked: a function of the application panicked. The log has the value and the stack.
	ErrPanicked = reporting.ErrPanicked
	// ErrNested: WithSession on another session within WithSession. It could deadlock: change one
	// after the other.
	ErrNested = errorcodes.ErrNested
)

// Errors of the store, of other processes and of the Bridge.
var (
	// ErrStoreUnavailable: the store failed or was too slow. The change may have been stored. It
	// passes by itself when the store answers again: try again after a growing pause.
	ErrStoreUnavailable = gateway.ErrUnavailable
	// ErrNodeSilent: another process on the same store has not answered in time. The results and
	// effects of the other processes count.
	ErrNodeSilent = cluster.ErrSilent
	// ErrOverloaded: Options.MaxHandshakes or HandshakesPerSecond is exceeded. The answer has a
	// Retry-After.
	ErrOverloaded = errorcodes.ErrOverloaded
	// ErrShutdown: the Bridge has been shut down, or is being: shut the http.Server down first.
	ErrShutdown = errorcodes.ErrShutdown
	// ErrUnsupported: the store lacks the capability that the call needs; the error names it.
	ErrUnsupported = errors.ErrUnsupported
)

// MissingReason is the reason for which a request, or a connection, has no session: see
// Bridge.MissingReason. The zero MissingReason is that of one that has a session.
type MissingReason string

// The reasons.
const (
	MissingNoCredential MissingReason = "no credential" // it came without a session cookie, token or ticket
	MissingExpired      MissingReason = "expired"       // time has ended the session
	MissingEnded        MissingReason = "ended"         // a logout or a Destroy has ended it
	MissingEvicted      MissingReason = "evicted"       // a newer session of the user or client took its place
	// MissingReplaced: the session goes on with the token of a later login to it. The credential is
	// of an older page of the same browser, or one of the two is in a copy of the browser's cookies.
	// A login of the same user on another device is another session, and replaces nothing.
	MissingReplaced MissingReason = "replaced"
	// MissingRefused: the credential is not valid, or no longer. Its signature doesn't hold, its
	// token was replaced by a rotation, the ticket is used or expired, or StrictBinding refuses it.
	MissingRefused MissingReason = "refused"
	// MissingDevice: the session is bound to the device of its browser (Options.DeviceBound), and the
	// request doesn't prove that it comes from there. The cookie is a copy, or the browser could not
	// prove it this time: another site has caused the request, or the browser has lost the key. A
	// connection whose proof was overdue has this reason, too.
	MissingDevice  MissingReason = "device"
	MissingUnknown MissingReason = "unknown" // there is no such session, and nothing is known of its end
)

// missingError is an ErrSessionMissing with its reason.
type missingError struct{ reason MissingReason }

// newMissing returns an ErrSessionMissing; "" is MissingUnknown.
func newMissing(reason MissingReason) error { return &missingError{cmp.Or(reason, MissingUnknown)} }

func (e *missingError) Error() string {
	return ErrSessionMissing.Error() + " (" + string(e.reason) + ")"
}
func (e *missingError) Unwrap() error { return ErrSessionMissing }

// MissingReasonOf returns the reason of an ErrSessionMissing of Bridge.Peek, of WithSession on a
// connection, and of Open and the other calls that take Credentials; MissingUnknown for one of
// another call and for ErrSessionGone. For ErrTokenRotated it is MissingReplaced, for ErrTicket and
// ErrCredentials MissingRefused. It is "" for other errors.
func MissingReasonOf(err error) MissingReason {
	var missing *missingError
	switch {
	case errors.As(err, &missing):
		return missing.reason
	case errors.Is(err, ErrTicket), errors.Is(err, ErrCredentials):
		return MissingRefused
	case errors.Is(err, ErrTokenRotated):
		return MissingReplaced
	case errors.Is(err, ErrSessionMissing), errors.Is(err, ErrSessionGone):
		return MissingUnknown
	}
	return ""
}

// ValueError is the error of a session's value that can't be stored. It names the key.
type ValueError = gateway.ValueError

// HTTPStatus returns the status that answers err. The Bridge's own answers use the same table:
//
//	200  nil
//	400  ErrUserID, ErrConnID, ErrConnName: invalid ones
//	401  ErrSessionMissing, ErrSessionGone, ErrCredentials, ErrAuthAge
//	403  ErrOrigin, ErrPlainHTTP, ErrTicket, ErrTooManySessions
//	404  ErrConnMissing
//	409  ErrTokenRotated, ErrConflict: repeating the request with the newest cookie succeeds;
//	     ErrConnID, ErrConnName of an ID or a name that an open connection has
//	413  ErrSessionTooLarge
//	422  ErrRefused, unless the error of Options.BeforeCommit has another status: one of this table
//	426  ErrHandshake of a plain request, else 400, 405 or 501
//	429  ErrTooManyConns, ErrRateLimited
//	503  ErrStoreUnavailable, ErrNodeSilent, ErrOverloaded, ErrShutdown, the end of a context
//	500  any other error: a *ValueError, ErrHeadersSent, an error of the application
func HTTPStatus(err error) int { return errorcodes.Status(err) }

// Close codes of connections, besides 1000 when the handler has returned, 1009 for a message over
// the limit and those that a handler chooses. A client should reconnect after 4000–4499 and must
// not after 4500–4999.
const (
	// CodePolicy, 1008: a limit was broken, or Options.BeforeCommit refused a change: see the reason.
	CodePolicy      = errorcodes.Policy
	CodeFailed      = errorcodes.Failed      // 1011: the handler panicked or failed
	CodeShutdown    = errorcodes.Shutdown    // 1012: the process is going away
	CodeUnavailable = errorcodes.Unavailable // 1013: the store is unavailable, or the process is overloaded
	CodeReconnect   = errorcodes.Reconnect   // 4001: the session changed (a login): reconnect with the new cookies
	// CodeIdle, 4002: the client has sent nothing for ConnOptions.IdleTimeout, or the connection has
	// reached ConnOptions.MaxAge. Reconnect when there is something to send.
	CodeIdle      = errorcodes.Idle
	CodeDestroyed = errorcodes.Destroyed // 4500: the session was destroyed: log in again
	CodeExpired   = errorcodes.Expired   // 4501: the session expired
	CodeNoSession = errorcodes.NoSession // 4502: there was no session at the handshake
	CodeEvicted   = errorcodes.Evicted   // 4503: a newer login took the session's place

	codeNone         = 0  // of an open connection
	codeClosedByPeer = -1 // or the connection is lost
)

// CloseCode returns the close code of a connection whose handler has returned err.
func CloseCode(err error) int { return errorcodes.CloseCode(err) }

// reportedError is an error that has been reported as a Failure.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

// closeGrace is the time for a close handshake, after which the connection is cut.
const closeGrace = socket.CloseGrace

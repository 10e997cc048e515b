package errorcodes

import (
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/cluster"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
)

// Errors of the Bridge that no package below it returns. The bridge exports them with their
// documentation, hence the prefix.
var (
	ErrSessionClosed = errors.New("bridge: the Session is used after its last commit")
	ErrNoMiddleware  = errors.New("bridge: the request did not come through Bridge.Handler: serve b.Handler(mux) instead of mux")
	ErrHeadersSent   = errors.New("bridge: the response's headers have been sent: no session cookie can be set any more")
	ErrNoCookies     = errors.New("bridge: no session cookie can be set here: log in and rotate in an HTTP handler")
	ErrPlainHTTP     = errors.New("bridge: WebSocket handshake over plain HTTP")
	ErrOrigin        = errors.New("bridge: connection from another origin")
	ErrRefused       = errors.New("bridge: Options.BeforeCommit refuses the changes")
	ErrTooManyConns  = errors.New("bridge: too many connections")
	ErrHandshake     = errors.New("bridge: not a WebSocket handshake")
	ErrConnID        = errors.New("bridge: not an ID for this connection")
	ErrConnName      = errors.New("bridge: not a name for this connection")
	ErrConnMissing   = errors.New("bridge: there is no such connection")
	ErrCredentials   = errors.New("bridge: not a session token of this Bridge")
	ErrAuthAge       = errors.New("bridge: a more recent login is needed")
	ErrBypassed      = errors.New(
		"bridge: the response was not written through the ResponseWriter that Bridge.Handler passes on")
	ErrNested     = errors.New("bridge: WithSession on another session within WithSession")
	ErrOverloaded = errors.New("bridge: too many handshakes")
	ErrShutdown   = errors.New("bridge: shut down")

	ErrTooManySessionConns = fmt.Errorf("%w of the session (Options.MaxConnsPerSession)", ErrTooManyConns)
	ErrTooManyAddrConns    = fmt.Errorf("%w from the address (Options.MaxConnsPerAddr)", ErrTooManyConns)
)

// Errors that are kinds of others, and have no name of their own for the application.
var (
	// ErrIDTaken and ErrNameTaken: the ID or the name is valid.
	ErrIDTaken   = fmt.Errorf("%w: another connection that is open has it", ErrConnID)
	ErrNameTaken = fmt.Errorf("%w: another connection that is open has it", ErrConnName)
	// ErrFrozen: the store could not confirm that the session still exists.
	ErrFrozen = fmt.Errorf("%w: it has not answered for %v", gateway.ErrUnavailable, cluster.FreezeAfter)
	// ErrCutOff: the session exists, but this connection, or this token, no longer has access to it.
	ErrCutOff = fmt.Errorf("%w: a login has replaced the token", gateway.ErrMissing)
	// ErrOtherRequest: the context belongs to another request.
	ErrOtherRequest = fmt.Errorf("%w: it has the context of another request, and other cookies", ErrNoMiddleware)
)

// OfConn returns the error for a connection that a Registry with the limits has refused.
func OfConn(err error, limits registry.Limits) error {
	switch {
	case errors.Is(err, registry.ErrIDInUse):
		return ErrIDTaken
	case errors.Is(err, registry.ErrNameInUse):
		return ErrNameTaken
	case errors.Is(err, registry.ErrSessionFull):
		return fmt.Errorf("%w: it has %d", ErrTooManySessionConns, limits.PerSession)
	case errors.Is(err, registry.ErrAddrFull):
		return fmt.Errorf("%w: it has %d", ErrTooManyAddrConns, limits.PerAddr)
	}
	return err
}

// handshakeRefusal is an ErrHandshake with its status.
type handshakeRefusal struct {
	status int
	cause  error
}

// RefuseHandshake returns an ErrHandshake that also is cause, and is answered with the status.
func RefuseHandshake(status int, cause error) error { return &handshakeRefusal{status, cause} }

func (h *handshakeRefusal) Error() string   { return fmt.Sprintf("%v: %v", ErrHandshake, h.cause) }
func (h *handshakeRefusal) Unwrap() []error { return []error{ErrHandshake, h.cause} }

// OfHandshake returns err, and for a ticket that opens nothing an error that is also a missing
// session (401): the ticket is the only credential of its handshake.
func OfHandshake(err error) error {
	if errors.Is(err, tickets.ErrInvalid) {
		return fmt.Errorf("%w: %w", gateway.ErrMissing, err)
	}
	return err
}

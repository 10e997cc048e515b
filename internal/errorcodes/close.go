package errorcodes

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/socket"
)

// Close codes of connections. What each means to a client is documented in bridge/errorcodes.go, which
// exports them. table.go has the code of each error, bridge/events.go that of each reason for the end
// of a session.
const (
	Policy      = 1008
	Failed      = 1011
	Shutdown    = 1012
	Unavailable = 1013
	Reconnect   = 4001
	Idle        = 4002
	Destroyed   = 4500
	Expired     = 4501
	NoSession   = 4502
	Evicted     = 4503
)

// Reasons of closes.
const (
	ReasonReconnect   = "session changed: reconnect"
	ReasonUnavailable = "session store unavailable"
	ReasonReplaced    = "a newer connection has taken its place"
	ReasonTooMany     = "the session has too many connections"

	ReasonShutdown  = "shutting down"
	ReasonNoSession = "no session: ask for one over HTTP"
)

// CloseReason returns the reason of the close of a connection whose handler has returned err, for
// errors that a client can act on. It reveals no others.
func CloseReason(err error) string {
	if errors.As(err, new(websocket.CloseError)) { // CloseCode takes its code
		return ""
	}
	code := CloseCode(err)
	return first(err, func(a *answer) string {
		if a.code != code {
			return ""
		}
		return a.reason
	})
}

// maxReason is the maximum length of the reason in a close frame, in bytes (RFC 6455 §5.5).
const maxReason = 123

// CheckClose returns an error unless an application may close a connection with the code and the
// reason.
func CheckClose(code int, reason string) error {
	own := code == Policy || code >= Failed && code <= Unavailable
	switch {
	case code != 1000 && !own && (code < 3000 || code > 4999):
		return fmt.Errorf("bridge: %d is no close code to send: 1000, 1008, 1011 to 1013, 3000 to 4999 "+
			"(RFC 6455 §7.4)", code)
	case len(reason) > maxReason || !utf8.ValidString(reason):
		return fmt.Errorf("bridge: a close reason is at most %d bytes of UTF-8", maxReason)
	}
	return nil
}

// Cause returns the error with which the context of a connection ends that is closed with the code.
func Cause(code int) error {
	switch code {
	case Reconnect:
		return gateway.ErrTokenRotated
	case Shutdown:
		return ErrShutdown
	case Unavailable:
		return gateway.ErrUnavailable
	case Destroyed, Expired, Evicted:
		return gateway.ErrGone
	case NoSession:
		return gateway.ErrMissing
	}
	return socket.ErrClosed
}

package bridge

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
)

// ErrHandshake: the request is not a valid WebSocket handshake. HTTPStatus gives the reason: 426
// for a plain request, 405 or 400 for a malformed one, 501 if the connection can't be upgraded.
var ErrHandshake = errors.New("bridge: not a WebSocket handshake")

// handshakeRefusal is an ErrHandshake with its status.
type handshakeRefusal struct {
	status int
	cause  error
}

func (h *handshakeRefusal) Error() string   { return fmt.Sprintf("%v: %v", ErrHandshake, h.cause) }
func (h *handshakeRefusal) Unwrap() []error { return []error{ErrHandshake, h.cause} }

// handshakeRefused returns the error of a handshake that the upgrade has refused with the status; 0
// is 400.
func handshakeRefused(status int, cause error) error {
	return &handshakeRefusal{cmp.Or(status, http.StatusBadRequest), cause}
}

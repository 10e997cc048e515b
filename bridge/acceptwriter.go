package bridge

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
)

// ErrHandshake: the request is no WebSocket handshake that can be accepted. HTTPStatus tells what is
// wrong with it: 426 for a plain request, 405, 400, or 501 where the connection can't be upgraded.
var ErrHandshake = errors.New("bridge: not a WebSocket handshake")

// handshakeRefusal is an ErrHandshake with its status.
type handshakeRefusal struct {
	status int
	cause  error
}

func (h *handshakeRefusal) Error() string   { return fmt.Sprintf("%v: %v", ErrHandshake, h.cause) }
func (h *handshakeRefusal) Unwrap() []error { return []error{ErrHandshake, h.cause} }

// acceptWriter is the ResponseWriter of the library that upgrades a connection. It lets the upgrade
// pass, and keeps back the answer to a request that is none: that is the Bridge's to give.
type acceptWriter struct {
	http.ResponseWriter
	status int // of the answer that was kept back
}

// Unwrap serves the search for an http.Hijacker.
func (a *acceptWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *acceptWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		a.status = status
		return
	}
	a.ResponseWriter.WriteHeader(status)
	sendHeader(a.ResponseWriter)
}

// Write implements http.ResponseWriter.
func (a *acceptWriter) Write(p []byte) (int, error) {
	if a.status != 0 {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// refusal returns the error of the answer that was kept back, without what was set for its body.
func (a *acceptWriter) refusal(cause error) error {
	h := a.Header()
	h.Del("Content-Type")
	h.Del("X-Content-Type-Options")
	return &handshakeRefusal{cmp.Or(a.status, http.StatusBadRequest), cause}
}

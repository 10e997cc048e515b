package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// badRequest is an error of the client. The text says how to fix it.
type badRequest string

func (e badRequest) Error() string { return string(e) }

func badRequestf(format string, args ...any) error { return badRequest(fmt.Sprintf(format, args...)) }

// Errors of a user. The texts are for the client.
var (
	errNobody   = errors.New("no user is logged in: POST /api/login, then repeat the request with its cookies")
	errNoDevice = errors.New("you have no such device: GET /api/devices lists them")
	errNoSocket = errors.New("you have no such open socket: GET /api/devices lists them")
)

// failure is the answer to a request that has failed.
type failure struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// failureOf returns the answer to err, without internal details, and its status.
func failureOf(err error) (failure, int) {
	var bad badRequest
	var value *bridge.ValueError
	status := bridge.HTTPStatus(err)
	text := "internal error; nothing was changed"
	switch {
	case errors.As(err, &bad):
		status, text = http.StatusBadRequest, err.Error()
	case errors.As(err, &value):
		status, text = http.StatusBadRequest, fmt.Sprintf("the value of %q can't be kept in a session", value.Key)
	case errors.Is(err, errNobody):
		status, text = http.StatusUnauthorized, err.Error()
	case errors.Is(err, errNoDevice), errors.Is(err, errNoSocket):
		status, text = http.StatusNotFound, err.Error()
	case errors.Is(err, bridge.ErrAuthAge):
		text = fmt.Sprintf("this requires a login within the last %d minutes: log in again", int(recentLogin.Minutes()))
	case errors.Is(err, bridge.ErrSessionMissing), errors.Is(err, bridge.ErrSessionGone):
		text = "there is no session: GET /api/session creates one, then connect with its cookies"
	case errors.Is(err, bridge.ErrTokenRotated):
		text = "the session has changed: connect again, with the newest cookies"
	case errors.Is(err, bridge.ErrSessionTooLarge):
		text = "the session is full"
	case errors.Is(err, bridge.ErrConflict), errors.Is(err, bridge.ErrStoreUnavailable):
		text = "the session can't be changed at the moment: try again"
	}
	return failure{Error: text}, status
}

package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// badRequest is an error that the client has made. It says how to do it right.
type badRequest string

func (e badRequest) Error() string { return string(e) }

func badRequestf(format string, args ...any) error { return badRequest(fmt.Sprintf(format, args...)) }

// What a user can't have. The texts are for the client.
var (
	errNobody   = errors.New("nobody is logged in: POST /api/login, then ask again with its cookies")
	errNoDevice = errors.New("you have no such device: GET /api/devices lists them")
	errNoSocket = errors.New("you have no such open socket: GET /api/devices lists them")
)

// failure is the answer to what went wrong.
type failure struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// failureOf tells the client of err, as far as it is the client's business, and returns the status that goes with it.
func failureOf(err error) (failure, int) {
	var bad badRequest
	var value *bridge.ValueError
	status := bridge.HTTPStatus(err)
	text := "something went wrong here; nothing was changed"
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
		text = fmt.Sprintf("this needs a login of the last %d minutes: log in once more", int(recentLogin.Minutes()))
	case errors.Is(err, bridge.ErrSessionMissing), errors.Is(err, bridge.ErrSessionGone):
		text = "there is no session: GET /api/session begins one, then connect with its cookies"
	case errors.Is(err, bridge.ErrTokenRotated):
		text = "the session has changed: connect again, with the newest cookies"
	case errors.Is(err, bridge.ErrSessionTooLarge):
		text = "the session is full"
	case errors.Is(err, bridge.ErrConflict), errors.Is(err, bridge.ErrStoreUnavailable):
		text = "the session can't be changed at the moment: try again"
	}
	return failure{Error: text}, status
}

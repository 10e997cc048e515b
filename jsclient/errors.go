package jsclient

import (
	"errors"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Error refuses a request. The client's promise is rejected with a RequestError that has this status
// and this text; the connection stays open, and none of the function's changes are stored. Other
// errors are answered with the status of bridge.HTTPStatus and the status' own text only, because
// theirs may contain internal details.
type Error struct {
	Status int    // from 400 to 599, as of HTTP; another one counts as 500
	Text   string // for the client; if it is empty, the text of the status
}

// Error returns the text.
func (e *Error) Error() string {
	if e.Text == "" {
		return http.StatusText(e.status())
	}
	return e.Text
}

func (e *Error) status() int {
	if e.Status < 400 || e.Status > 599 {
		return http.StatusInternalServerError
	}
	return e.Status
}

// refusal returns what the client is told about err.
func refusal(err error) (status int, text string) {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.status(), refused.Error()
	}
	status = bridge.HTTPStatus(err)
	return status, http.StatusText(status)
}

// survives reports whether the connection goes on after a request that has failed with err. It
// doesn't if the error has a close code that tells the client about its session, or if it is one of
// the program, which the Bridge reports when it closes the connection.
func survives(err error) bool {
	var refused *Error
	status := bridge.HTTPStatus(err)
	return errors.As(err, &refused) ||
		bridge.CloseCode(err) < 4000 && (status < 500 || status == http.StatusServiceUnavailable)
}

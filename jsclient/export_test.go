package jsclient

import "github.com/sessionbridge/sessionbridge/bridge"

// Parse returns the parts of a message, for the tests.
func Parse(msg bridge.Message) (id string, content []byte, err error) {
	r, err := parse(msg)
	return r.id, r.Data, err
}

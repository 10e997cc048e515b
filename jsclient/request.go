package jsclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Request is a message of the client: one of its method request, which is answered, or one of send,
// which isn't.
//
// Data and Decode give the content without the envelope. Reply, ReplyJSON and Notify send ordinary
// messages beside the answer, after the changes have been stored.
type Request struct {
	bridge.Message
	id string
}

// Answered reports whether the client waits for an answer.
func (r Request) Answered() bool { return r.id != "" }

// The envelope: unitSeparator, the ID that the client has chosen, a newline, the content. An answer
// has a space and a status behind the ID.
const (
	unitSeparator = 0x1f
	maxID         = 64
)

var errMalformed = errors.New("jsclient: malformed request")

// parse returns the request in a message.
func parse(msg bridge.Message) (Request, error) {
	if msg.Type != websocket.MessageText || len(msg.Data) == 0 || msg.Data[0] != unitSeparator {
		return Request{Message: msg}, nil
	}
	id, content, found := bytes.Cut(msg.Data[1:], []byte{'\n'})
	if !found || !validID(id) {
		return Request{}, errMalformed
	}
	msg.Data = content
	return Request{Message: msg, id: string(id)}, nil
}

func validID(id []byte) bool {
	for _, c := range id {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && ('0' > c || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return 0 < len(id) && len(id) <= maxID
}

// answer returns the message that answers the request with a value.
func (r Request) answer(v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("jsclient: encode the answer: %w", err)
	}
	return r.envelope(200, content), nil
}

func (r Request) envelope(status int, content []byte) []byte {
	return fmt.Appendf(nil, "%c%s %d\n%s", unitSeparator, r.id, status, content)
}

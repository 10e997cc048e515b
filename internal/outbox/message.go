package outbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Message is a message for a connection. All queues that hold it share its data, which must not
// change.
type Message struct {
	Data   []byte
	Binary bool // otherwise the data is text
	Note   any  // of the caller; nil but for messages of Queue.Insist
}

// Text returns a message with a copy of the payload, which must be UTF-8. of names the method of the
// Bridge that has got it.
func Text(of string, payload []byte) (*Message, error) {
	if !utf8.Valid(payload) {
		return nil, fmt.Errorf("bridge: %s: the payload is not UTF-8, which a text message has to be "+
			"(Bridge.NotifyBinary sends anything)", of)
	}
	return &Message{Data: slices.Clone(payload)}, nil
}

// JSON returns a message with v as JSON.
func JSON(of string, v any) (*Message, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("bridge: %s: %w", of, err)
	}
	return &Message{Data: data}, nil
}

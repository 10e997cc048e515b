package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
)

// Messages of clients. Required fields whose zero value is valid are pointers.
type (
	verb struct {
		Do string `json:"do"` // the action of a socket's message
	}
	incrementRequest struct {
		By *int64 `json:"by"`
	}
	setRequest struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	loginRequest struct {
		User string `json:"user"`
	}
	signOutRequest struct {
		Device string `json:"device"`
	}
	closeRequest struct {
		Socket string `json:"socket"`
	}
	notifyRequest struct {
		Text string `json:"text"`
	}
)

// Limits of messages.
const (
	maxMessage = 16 << 10 // bytes, of a request's body or a socket's message
	maxBy      = 1000
	maxKey     = 64  // bytes
	maxUser    = 64  // bytes
	maxID      = 64  // bytes, of a device's or a socket's
	maxText    = 200 // bytes, of a notification
)

const errTooLarge = badRequest("this is too much: at most 16 KiB")

// decode decodes one JSON object into dst. Unknown fields are errors.
func decode(data []byte, dst any) error {
	if len(data) > maxMessage {
		return errTooLarge
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(dst); err != nil {
		return explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequestf("there is data after the JSON object")
	}
	return nil
}

// explain returns an error for invalid JSON in the client's terms.
func explain(err error) error {
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return badRequestf("the request is empty: a JSON object is expected")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return badRequestf("the JSON ends too early")
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return badRequestf("a JSON object is expected, not %s", withArticle(wrongType.Value))
	case errors.As(err, &wrongType):
		field := wrongType.Field[strings.LastIndexByte(wrongType.Field, '.')+1:] // without the embedded struct
		return badRequestf("%q can't be %s", field, withArticle(wrongType.Value))
	}
	return badRequestf("invalid JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func withArticle(kind string) string {
	switch {
	case strings.HasPrefix(kind, "number "): // followed by the number
		return "the " + kind
	case kind == "array" || kind == "object":
		return "an " + kind
	}
	return "a " + kind
}

// parseMessage returns the action of a socket's message, and its change.
func parseMessage(data []byte) (do string, what change, err error) {
	var v verb
	if len(data) > maxMessage {
		return "", nil, errTooLarge
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
		return "", nil, explain(err)
	}
	switch v.Do {
	case "get", "logout":
		return v.Do, look, decode(data, &v)
	case "increment":
		var in struct {
			verb
			incrementRequest
		}
		if err = decode(data, &in); err == nil {
			err = in.check()
		}
		if err == nil {
			what = increment(wsCount, *in.By)
		}
		return v.Do, what, err
	case "set":
		var in struct {
			verb
			setRequest
		}
		if err = decode(data, &in); err == nil {
			err = in.check()
		}
		return v.Do, set(in.Key, in.Value), err
	case "":
		return "", nil, badRequestf(`"do" is missing: get, increment, set or logout`)
	}
	return "", nil, badRequestf(`"do" must be get, increment, set or logout`)
}

func (r *incrementRequest) check() error {
	switch {
	case r.By == nil:
		return badRequestf(`"by" is missing: an integer from 1 to %d`, maxBy)
	case *r.By < 1 || *r.By > maxBy:
		return badRequestf(`"by" is out of range: an integer from 1 to %d`, maxBy)
	}
	return nil
}

func (r *setRequest) check() error {
	switch {
	case r.Key == "":
		return badRequestf(`"key" is missing: a string of at most %d bytes`, maxKey)
	case len(r.Key) > maxKey:
		return badRequestf(`"key" is too long: at most %d bytes`, maxKey)
	case r.Value == nil:
		return badRequestf(`"value" is missing: any JSON value`)
	}
	for _, counter := range counters() {
		if r.Key == counter.Name() {
			return badRequestf(`"key" is a counter: increment it instead`)
		}
	}
	return nil
}

func (r *loginRequest) check() error   { return checkText("user", "a name", r.User, maxUser) }
func (r *signOutRequest) check() error { return checkText("device", "an ID", r.Device, maxID) }
func (r *closeRequest) check() error   { return checkText("socket", "an ID", r.Socket, maxID) }
func (r *notifyRequest) check() error  { return checkText("text", "a text", r.Text, maxText) }

// checkText checks a field that is one line of text.
func checkText(field, what, text string, limit int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return badRequestf(`%q is missing: %s of at most %d bytes`, field, what, limit)
	case len(text) > limit:
		return badRequestf(`%q is too long: at most %d bytes`, field, limit)
	case strings.ContainsFunc(text, unicode.IsControl):
		return badRequestf(`%q has control characters in it`, field)
	}
	return nil
}

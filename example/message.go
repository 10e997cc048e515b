package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
)

// What clients may send. Fields that have to be there are pointers where a zero is a value too.
type (
	verb struct {
		Do string `json:"do"` // over a socket: what is wanted
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

// Limits of what clients may send.
const (
	maxMessage = 16 << 10 // bytes, of a request's body or a socket's message
	maxBy      = 1000
	maxKey     = 64  // bytes
	maxUser    = 64  // bytes
	maxID      = 64  // bytes, of a device's or a socket's
	maxText    = 200 // bytes, of a notification
)

const errTooLarge = badRequest("this is too much: at most 16 KiB")

// decode reads one JSON object into dst, which has a field for everything that may be in it.
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
		return badRequestf("there is something after the JSON object")
	}
	return nil
}

// explain says what is wrong with what a client has sent, in its terms.
func explain(err error) error {
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return badRequestf("nothing was sent: a JSON object is wanted")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return badRequestf("the JSON ends too early")
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return badRequestf("a JSON object is wanted, not %s", withArticle(wrongType.Value))
	case errors.As(err, &wrongType):
		field := wrongType.Field[strings.LastIndexByte(wrongType.Field, '.')+1:] // without the struct that it is embedded from
		return badRequestf("%q can't be %s", field, withArticle(wrongType.Value))
	}
	return badRequestf("this is not the JSON that is wanted: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func withArticle(kind string) string {
	switch {
	case strings.HasPrefix(kind, "number "): // followed by it
		return "the " + kind
	case kind == "array" || kind == "object":
		return "an " + kind
	}
	return "a " + kind
}

// parseMessage returns what a socket's message asks for: the verb, and the change that it is.
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
	return "", nil, badRequestf(`"do" is none of get, increment, set and logout`)
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

package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrIncomplete: a node has not answered, so the list may lack elements.
var ErrIncomplete = errors.New("a node has not answered: the list is incomplete")

// List calls fn with each element of the list with the name in the answer, in constant memory. It
// returns fn's error, and otherwise ErrIncomplete if the answer says so.
func (c *Client) List(ctx context.Context, r Request, name string, fn func(json.RawMessage) error) error {
	res, err := c.send(ctx, r, "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was read, or fn has failed
	in := json.NewDecoder(res.Body)
	complete, found := true, false
	if err := expect(in, json.Delim('{')); err != nil {
		return unavailable(ctx, err)
	}
	for in.More() {
		member, err := in.Token()
		if err != nil {
			return unavailable(ctx, err)
		}
		var other any
		switch member {
		case name:
			found = true
			if err := each(ctx, in, fn); err != nil {
				return err
			}
			continue
		case "complete":
			err = in.Decode(&complete)
		default:
			err = in.Decode(&other)
		}
		if err != nil {
			return unavailable(ctx, err)
		}
	}
	if err := expect(in, json.Delim('}')); err != nil {
		return unavailable(ctx, err)
	}
	if !found {
		return ErrNotAPI
	}
	if !complete {
		return ErrIncomplete
	}
	return nil
}

// each calls fn with each element of an array.
func each(ctx context.Context, in *json.Decoder, fn func(json.RawMessage) error) error {
	if err := expect(in, json.Delim('[')); err != nil {
		return unavailable(ctx, err)
	}
	for in.More() {
		var element json.RawMessage
		if err := in.Decode(&element); err != nil {
			return unavailable(ctx, err)
		}
		if err := fn(element); err != nil {
			return err
		}
	}
	if err := expect(in, json.Delim(']')); err != nil {
		return unavailable(ctx, err)
	}
	return nil
}

func expect(in *json.Decoder, want json.Delim) error {
	token, err := in.Token()
	if err == nil && token != want {
		err = fmt.Errorf("the answer has %v instead of %v", token, want)
	}
	return err
}

package jsclient

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Requests returns a handler for the connections of the client. It is [bridge.Bridge.Messages] with
// answers: fn runs for each message within WithSession, so everything that is documented there
// applies, in particular that fn may run again, and that s is nil for messages without a session if
// opts.OnMissing is AcceptMissing.
//
// The value that fn returns is the answer, as JSON. It is sent after fn's changes have been stored, so
// a client can rely on it. For a message that expects no answer (see [Request.Answered]) it is
// ignored.
//
// If fn returns an error, or if its changes can't be stored, nothing is stored and the client's
// promise is rejected with a status: that of an [*Error], otherwise that of bridge.HTTPStatus. Then
// opts.OnMessageError decides whether the connection goes on. Without one it does after an *Error, and
// after errors with a status of 4xx or 503; it is closed with bridge.CloseCode after others, after
// those that concern the session (ErrSessionGone, ErrSessionMissing, ErrTokenRotated), and after any
// error of a message that expects no answer. A malformed request closes it with CodePolicy.
//
// opts may be nil. opts.CountsAsActivity and the limits of opts see the messages with their envelope.
func Requests(
	b *bridge.Bridge, fn func(ctx context.Context, c *bridge.Conn, r Request, s *bridge.Session) (any, error),
	opts *bridge.ConnOptions,
) http.Handler {
	o := *cmp.Or(opts, new(bridge.ConnOptions))
	decide := o.OnMessageError
	o.OnMessageError = func(ctx context.Context, c *bridge.Conn, err error) error {
		r := failedRequest(ctx)
		if r.Answered() {
			status, text := refusal(err)
			if gone := c.Write(ctx, websocket.MessageText, r.envelope(status, []byte(text))); gone != nil {
				return gone
			}
		}
		switch {
		case errors.Is(err, errMalformed):
			return c.Close(bridge.CodePolicy, "malformed request")
		case decide != nil:
			return decide(ctx, c, err)
		case r.Answered() && survives(err):
			return nil
		}
		return err
	}
	run := func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		r, err := parse(msg)
		if err != nil {
			return err
		}
		v, err := fn(ctx, c, r, s)
		if err != nil || !r.Answered() {
			return err
		}
		answer, err := r.answer(v)
		if err != nil {
			return err
		}
		return msg.Reply(answer)
	}
	return b.Messages(run, &o)
}

// failedRequest returns the request of an OnMessageError.
func failedRequest(ctx context.Context) Request {
	msg, _ := bridge.MessageFrom(ctx)
	r, _ := parse(msg)
	return r
}

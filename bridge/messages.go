package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

// Message is one message from a client, as Messages hands it to its function. fmt, slog and
// encoding/json show its type and size only: to pass it on, pass on Data.
type Message struct {
	Type websocket.MessageType
	Data []byte // whatever the client has sent, nothing included; not to be changed

	replies *replies
}

// replies are what one run of the function wants to be sent.
type replies struct {
	mu   sync.Mutex
	list []*outbox.Message
	over bool // the run is over: nothing comes to it any more
}

// errNoReply: there is nobody who would send the reply.
var errNoReply = errors.New("bridge: Reply after the function for the message has returned")

// Decode reads the message as JSON into v. An empty message, or one that isn't JSON, is an error;
// so is a v that isn't a pointer. The JSON null leaves v as it is, as with encoding/json: a pointer
// that v points to may still be nil.
func (m Message) Decode(v any) error {
	if err := json.Unmarshal(m.Data, v); err != nil {
		return fmt.Errorf("bridge: decode the message: %w", err)
	}
	return nil
}

// Reply has data sent to the client, as a message of the same type, once what the function has
// changed is stored: never when the function fails, or when it runs again. It waits for nothing,
// and takes a copy of data. It may be called from several goroutines, as long as the function runs;
// then it returns an error.
func (m Message) Reply(data []byte) error { return m.reply(m.Type, data) }

// ReplyJSON is Reply with v as JSON, in a text message.
func (m Message) ReplyJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("bridge: reply JSON: %w", err)
	}
	return m.reply(websocket.MessageText, data)
}

func (m Message) reply(kind websocket.MessageType, data []byte) error {
	r := m.replies
	if r == nil {
		return errNoReply
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return errNoReply
	}
	r.list = append(r.list, &outbox.Message{Data: append([]byte{}, data...), Binary: kind == websocket.MessageBinary})
	return nil
}

func (r *replies) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// Messages returns a handler that accepts WebSocket connections and runs fn for each message of
// theirs, within WithSession: the session is loaded, fn runs, what it changed is stored, and then
// its replies are sent. So a client that has the answer can rely on what it says.
//
// The messages of one connection are handled one at a time, in their order; those of several
// connections of a session take turns. As with WithSession fn may run again if somebody else
// changed the session meanwhile, so it should change nothing but the session, and answer with
// Message.Reply. Somebody has to read, and here that is the handler: fn must not, and should not
// take long.
//
// An error of fn stores nothing, but a Destroy counts; nor are its replies sent. That error, or
// that of WithSession, goes to ConnOptions.OnMessageError, which decides whether the connection
// goes on. Without it the connection is closed with CloseCode of the error.
//
// A handshake without a session is closed with CodeNoSession, unless ConnOptions.OnMissing says
// otherwise. WITH AcceptMissing s IS NIL FOR EVERY MESSAGE THAT COMES WHILE THERE IS NO SESSION, at
// the handshake or any more: fn has to check it before it does anything with it. Without
// AcceptMissing s is never nil.
//
// For the rest it is as WebSocket.
func (b *Bridge) Messages(
	fn func(ctx context.Context, c *Conn, msg Message, s *Session) error, opts *ConnOptions,
) http.Handler {
	return b.socket(func(ctx context.Context, c *Conn) error {
		for {
			kind, data, err := c.Read(ctx)
			if err == nil {
				err = c.handle(ctx, Message{Type: kind, Data: data}, fn)
			}
			if err != nil {
				return err
			}
		}
	}, opts, CloseMissing)
}

// handle runs fn for a message and sends its replies. An error ends the connection.
func (c *Conn) handle(
	ctx context.Context, msg Message, fn func(context.Context, *Conn, Message, *Session) error,
) error {
	var last *replies // of the last run
	run := func(ctx context.Context, s *Session) error {
		attempt := &replies{}
		defer attempt.close()
		msg := msg
		msg.replies, last = attempt, attempt
		return fn(ctx, c, msg, s)
	}
	var without func(context.Context) error // a session
	if c.opts.OnMissing == AcceptMissing {
		without = func(ctx context.Context) error { return run(ctx, nil) }
	}
	err := c.WithSession(ctx, run, without)
	if err != nil {
		if c.opts.OnMessageError != nil && ctx.Err() == nil {
			err = c.opts.OnMessageError(ctx, c, err)
		}
		return err
	}
	for _, r := range last.list {
		if err := c.send(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// Format implements fmt.Formatter: of a message only its kind and size are printed.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "bridge.Message(%s of %d bytes)", m.Type, len(m.Data))
}

// LogValue implements slog.LogValuer.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("type", m.Type.String()), slog.Int("bytes", len(m.Data)))
}

// MarshalJSON implements json.Marshaler: slog's JSONHandler asks no LogValuer within other values.
func (m Message) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"type":%q,"bytes":%d}`, m.Type, len(m.Data)), nil
}

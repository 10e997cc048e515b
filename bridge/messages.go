package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/internal/outbox"
)

// Messages is like WebSocket, but runs fn for each message, within WithSession: it loads the
// session, runs fn, stores its changes, and then sends the replies. A client can rely on these.
//
// The messages of one connection are handled one at a time, in their order; those of several
// connections of a session take turns. As with WithSession, fn runs again if another writer has
// changed the session, so it should change nothing but the session, answer with Message.Reply, and
// send to others with Message.Notify. A Bridge.Notify within fn is sent by each run, before
// anything is stored. fn must not read from c, and should not take long: no message is read
// meanwhile.
//
// After an error of fn neither its changes are stored, except for a Destroy, nor its replies sent.
// ConnOptions.OnMessageError gets that error, or the one of WithSession, and decides whether the
// connection continues. By default it is closed with CloseCode of the error.
//
// A handshake without a session is closed with CodeNoSession, unless ConnOptions.OnMissing has
// another policy. WITH AcceptMissing s IS NIL FOR EVERY MESSAGE THAT COMES WHILE THERE IS NO
// SESSION, because there was none at the handshake or because it has ended: fn has to check s
// before it uses it. Without AcceptMissing s is never nil.
func (b *Bridge) Messages(
	fn func(ctx context.Context, c *Conn, msg Message, s *Session) error, opts *ConnOptions,
) http.Handler {
	return b.socket(func(ctx context.Context, c *Conn) error {
		for {
			m, err := c.read(ctx)
			if err == nil {
				err = c.handle(ctx, Message{Type: m.Type, Data: m.Data, quiet: m.Quiet}, fn)
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
		attempt := new(replies)
		defer attempt.Close()
		msg := msg
		msg.replies, last = attempt, attempt
		return fn(ctx, c, msg, s)
	}
	var onMissing func(context.Context) error
	if c.opts.OnMissing == AcceptMissing {
		onMissing = func(ctx context.Context) error { return run(ctx, nil) }
	}
	err := c.link.runOnSession(ctx, msg.quiet, run, onMissing)
	if err != nil {
		if c.opts.OnMessageError != nil && ctx.Err() == nil {
			msg.replies = new(replies)
			msg.replies.Close()
			err = c.opts.OnMessageError(context.WithValue(ctx, messageKey{}, msg), c, err)
		}
		return err
	}
	messages, notices := last.All()
	for _, r := range messages {
		if err = c.send(ctx, r); err != nil {
			break
		}
	}
	for _, n := range notices { // also if the client has left
		c.link.notify(ctx, n)
	}
	return err
}

// Message is one message from a client. fmt, slog and encoding/json show only its type and size.
type Message struct {
	Type websocket.MessageType
	Data []byte // as the client has sent it, possibly empty; must not be changed

	quiet   bool // it is no activity of the client: ConnOptions.CountsAsActivity
	replies *replies
}

type replies = outbox.Replies[notice]

// messageKey is the key of the context value of OnMessageError.
type messageKey struct{}

// MessageFrom returns the message that has led to the error, from the context of
// ConnOptions.OnMessageError, false for another context. Its Reply fails: answer with Conn.Write.
func MessageFrom(ctx context.Context) (Message, bool) {
	msg, ok := ctx.Value(messageKey{}).(Message)
	return msg, ok
}

// Decode reads the message as JSON into v. An empty message, one that isn't JSON, and a v that
// isn't a pointer are errors. As with encoding/json, the JSON null leaves v as it is: a pointer
// that v points to may still be nil.
func (m Message) Decode(v any) error {
	if err := json.Unmarshal(m.Data, v); err != nil {
		return fmt.Errorf("bridge: decode the message: %w", err)
	}
	return nil
}

// Reply queues a copy of data for the client, as a message of the same type. It is sent after the
// changes of the function have been stored, and not at all if the function fails or runs again.
// Reply doesn't block and may be called concurrently. After the function's return it fails.
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
	return m.replies.Reply(&outbox.Message{Data: append([]byte{}, data...), Binary: kind == websocket.MessageBinary})
}

// Format implements fmt.Formatter. It prints only the type and size.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "bridge.Message(%s of %d bytes)", m.Type, len(m.Data))
}

// LogValue implements slog.LogValuer.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("type", m.Type.String()), slog.Int("bytes", len(m.Data)))
}

// MarshalJSON implements json.Marshaler: slog's JSONHandler calls no LogValuer within other values.
func (m Message) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"type":%q,"bytes":%d}`, m.Type, len(m.Data)), nil
}

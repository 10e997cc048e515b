package bridgetest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Session returns a session for a function that a test calls directly, such as one that handlers of
// requests and of messages share. It has the values, which are stored; without any it is new and
// not stored. It can do what the Session of a request can, also Login, Rotate and Destroy.
//
// Its changes are stored when the test ends. The test fails if that is not possible: a value can't
// be encoded, or the values are too large.
func Session(t testing.TB, values map[string]any) *bridge.Session {
	t.Helper()
	c := newClient(t, New(t, nil))
	c.setValues(values)
	opened, release, stored := make(chan *bridge.Session, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		stored <- c.visit(func(s *bridge.Session) error {
			opened <- s
			<-release
			return nil
		})
	}()
	t.Cleanup(func() {
		close(release)
		if err := <-stored; err != nil {
			t.Errorf("bridgetest: store the changes of the session: %v", err)
		}
	})
	return <-opened
}

// Conn returns a connection for a handler that a test calls directly, with the context that the
// handler gets from the Bridge, and the client's end of it. The session of the connection has the
// values; without any there is none. The connection is closed when the test ends.
//
// A function of Bridge.Messages is called by Handle.
func Conn(t testing.TB, values map[string]any) (context.Context, *bridge.Conn, *ClientConn) {
	t.Helper()
	b := New(t, nil)
	type call struct {
		ctx  context.Context
		conn *bridge.Conn
	}
	calls, release := make(chan call, 1), make(chan struct{})
	c := NewClient(t, b, b.WebSocket(func(ctx context.Context, conn *bridge.Conn) error {
		calls <- call{ctx, conn}
		<-release
		return nil
	}, nil))
	c.setValues(values)
	client := c.Dial("/", nil)
	t.Cleanup(func() { close(release) })
	handler := <-calls
	return handler.ctx, handler.conn, client
}

// Handled is what a function of Bridge.Messages has done with a message.
type Handled struct {
	// Err is the error of the function, or of storing its changes.
	Err error
	// Sent are the texts of the messages that the client has got: the replies, and what the function
	// has written to the connection or sent to it with Notify. After an error there are no replies.
	Sent []string
	// Session is the session afterwards: methods that change it return ErrSessionClosed. Nil: it has
	// ended.
	Session *bridge.Session
}

// Handle calls a function of Bridge.Messages for one message, on a connection whose session has the
// values, and returns when the replies have been sent. Nil values are a session without any.
// Message.Reply and Message.Notify work as they do in the application. The test fails if the
// function panics, or hasn't returned within Limit.
func Handle(
	t testing.TB,
	fn func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error,
	values map[string]any, kind websocket.MessageType, data []byte,
) (h Handled) {
	t.Helper()
	b, end := New(t, nil), rand.Text()
	handler := func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		if string(msg.Data) == end {
			return websocket.CloseError{Code: websocket.StatusNormalClosure}
		}
		return fn(ctx, c, msg, s)
	}
	c := NewClient(t, b, b.Messages(handler, &bridge.ConnOptions{
		MaxMessageBytes: bridge.Off,
		OnMessageError: func(_ context.Context, _ *bridge.Conn, err error) error {
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				return err
			}
			h.Err = err
			return nil
		},
	}))
	credentials, err := b.Create(t.Context(), bridge.NewSession{Data: values})
	if err != nil {
		t.Fatalf("bridgetest: %v", err)
	}
	for _, cookie := range b.CookiesFor(credentials) {
		c.SetCookie(cookie)
	}
	conn := c.Dial("/", nil)
	conn.WriteMessage(kind, data)
	_ = conn.ws.Write(t.Context(), websocket.MessageText, []byte(end)) // fails if fn has closed the connection
	var m message
	for m, err = conn.receive(); err == nil; m, err = conn.receive() {
		h.Sent = append(h.Sent, string(m.data))
	}
	switch {
	case errors.Is(err, errNothing):
		t.Fatalf("bridgetest: the function for the message has not returned within %v", Limit)
	case int(websocket.CloseStatus(err)) == bridge.CodeFailed:
		t.Fatalf("bridgetest: the function for the message has panicked, or has ended its goroutine: see the log")
	}
	h.Session, err = b.GetByID(t.Context(), credentials.SessionID)
	if err != nil && !errors.Is(err, bridge.ErrSessionMissing) {
		t.Fatalf("bridgetest: %v", err)
	}
	return h
}

// setValues stores values in the browser's session. Without any it does nothing.
func (c *Client) setValues(values map[string]any) {
	c.t.Helper()
	c.Update(func(s *bridge.Session) error {
		for key, v := range values {
			s.Set(key, v)
		}
		return nil
	})
}

package bridgetest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// maxInbox is how many messages a ClientConn keeps that the test hasn't read. Then it stops
// reading, as a client does that is too slow.
const maxInbox = 4096

// ClientConn is the client's end of a WebSocket. As a browser it reads all the time, so that it
// answers pings, and keeps the messages for the test. Only the test's goroutine may call its
// methods, which wait for Limit at most.
type ClientConn struct {
	t     testing.TB
	ws    *websocket.Conn
	inbox chan message
	lost  error // why the connection has ended, once inbox is closed
}

type message struct {
	kind websocket.MessageType
	data []byte
}

// Dial opens a WebSocket with the browser's cookies. Nil options are all defaults; their HTTPClient
// is ignored. The connection is closed when the test ends.
//
// As in production, the server registers the connection just after the handshake: before a
// Bridge.Notify, wait for a message of the handler or, in a synctest bubble, call Advance(0).
func (c *Client) Dial(path string, opts *websocket.DialOptions) *ClientConn {
	c.t.Helper()
	conn, res, err := c.dial(path, opts)
	if err != nil {
		if res != nil {
			c.t.Fatalf("bridgetest: dial %s: %v: %s", path, err, res.Body)
		}
		c.t.Fatalf("bridgetest: dial %s: %v", path, err)
	}
	return conn
}

// DialRefused is Dial for a handshake that is to be refused. It returns the answer.
func (c *Client) DialRefused(path string, opts *websocket.DialOptions) *Response {
	c.t.Helper()
	_, res, err := c.dial(path, opts)
	switch {
	case err == nil:
		c.t.Fatalf("bridgetest: dial %s: the connection is open instead of being refused", path)
	case res == nil:
		c.t.Fatalf("bridgetest: dial %s: %v", path, err)
	}
	return res
}

func (c *Client) dial(path string, opts *websocket.DialOptions) (*ClientConn, *Response, error) {
	c.t.Helper()
	var o websocket.DialOptions
	if opts != nil {
		o = *opts
	}
	o.HTTPClient = c.HTTP
	header := c.header()
	for name, values := range o.HTTPHeader {
		header[http.CanonicalHeaderKey(name)] = values
	}
	o.HTTPHeader = header
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), Limit)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, c.URL+path, &o)
	if err != nil {
		if res == nil {
			return nil, nil, err
		}
		return nil, c.read(res), err
	}
	ws.SetReadLimit(-1)
	conn := &ClientConn{t: c.t, ws: ws, inbox: make(chan message, maxInbox)}
	done := make(chan struct{})
	stop, stopReading := context.WithCancel(context.WithoutCancel(c.t.Context()))
	go func() {
		defer close(done)
		conn.listen(stop)
	}()
	c.t.Cleanup(func() {
		stopReading()
		_ = ws.CloseNow()
		<-done
	})
	return conn, nil, nil
}

func (c *ClientConn) listen(ctx context.Context) {
	defer close(c.inbox)
	for {
		kind, data, err := c.ws.Read(ctx)
		if err != nil {
			c.lost = err
			return
		}
		select {
		case c.inbox <- message{kind, data}:
		case <-ctx.Done():
			c.lost = ctx.Err()
			return
		}
	}
}

// receive returns the next message.
func (c *ClientConn) receive() (message, error) {
	late := time.NewTimer(Limit)
	defer late.Stop()
	select {
	case m, ok := <-c.inbox:
		if !ok {
			return m, c.lost
		}
		return m, nil
	case <-late.C:
		return message{}, errNothing
	}
}

var errNothing = errors.New("nothing has arrived within " + Limit.String())

// ReadMessage waits for the next message.
func (c *ClientConn) ReadMessage() (websocket.MessageType, []byte) {
	c.t.Helper()
	m, err := c.receive()
	if err != nil {
		c.t.Fatalf("bridgetest: read a message: %v", err)
	}
	return m.kind, m.data
}

// Read waits for the next message and returns its text.
func (c *ClientConn) Read() string {
	c.t.Helper()
	_, data := c.ReadMessage()
	return string(data)
}

// ReadJSON waits for the next message and decodes it into v.
func (c *ClientConn) ReadJSON(v any) {
	c.t.Helper()
	text := c.Read()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		c.t.Fatalf("bridgetest: the message is not the expected JSON: %v: %s", err, text)
	}
}

// Unread returns the texts of the messages that have arrived, without waiting. In a synctest
// bubble, call it after Advance(0), for example to check that there are none.
func (c *ClientConn) Unread() (texts []string) {
	for {
		select {
		case m, ok := <-c.inbox:
			if !ok {
				return texts
			}
			texts = append(texts, string(m.data))
		default:
			return texts
		}
	}
}

// Write sends a text message.
func (c *ClientConn) Write(text string) {
	c.t.Helper()
	c.WriteMessage(websocket.MessageText, []byte(text))
}

// WriteJSON sends v as a text message.
func (c *ClientConn) WriteJSON(v any) {
	c.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		c.t.Fatalf("bridgetest: write a message: %v", err)
	}
	c.WriteMessage(websocket.MessageText, data)
}

// WriteMessage sends a message.
func (c *ClientConn) WriteMessage(kind websocket.MessageType, data []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), Limit)
	defer cancel()
	if err := c.ws.Write(ctx, kind, data); err != nil {
		c.t.Fatalf("bridgetest: write a message: %v", err)
	}
}

// Close closes the connection as a page does that is left: with 1001 (going away).
func (c *ClientConn) Close() {
	c.t.Helper()
	_ = c.ws.Close(websocket.StatusGoingAway, "")
}

// ExpectClose waits until the server closes the connection, discards the messages before that,
// fails the test unless the close has the code, and returns its reason. The code is -1 for a
// connection that ended without a close frame.
func (c *ClientConn) ExpectClose(code int) (reason string) {
	c.t.Helper()
	for {
		_, err := c.receive()
		switch {
		case err == nil:
			continue
		case errors.Is(err, errNothing):
			c.t.Fatalf("bridgetest: the connection is still open instead of being closed with %d", code)
		}
		var closed websocket.CloseError
		errors.As(err, &closed)
		if got := int(websocket.CloseStatus(err)); got != code {
			c.t.Fatalf("bridgetest: the connection was closed with %d %q instead of %d: %v", got, closed.Reason, code, err)
		}
		return closed.Reason
	}
}

package gwsapp

import (
	"context"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/lxzan/gws"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	writeTimeout = 10 * time.Second // of one message to a client that doesn't read
	maxMessage   = 64 << 10         // bytes, from a client
	heartbeat    = 30 * time.Second // proxies close what is silent for a minute or so
	silence      = 45 * time.Second // of a client: longer than a heartbeat and the way of its pong
	closeWait    = time.Second      // for the client's close frame
)

// conn is a connection and its event handler. The library has a lock for writes, but no limit for
// their time.
type conn struct {
	gws.BuiltinEventHandler
	*gws.Conn
	reply   func(ctx context.Context, link *bridge.Link, message string) (string, error)
	link    *bridge.Link
	writing sync.Mutex // so that each write has its own deadline
}

// send sends a message. The kinds of messages are those of the protocol in every library.
func (c *conn) send(kind coder.MessageType, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.WriteMessage(gws.Opcode(kind), data)
}

func (c *conn) ping(context.Context) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.WritePing(nil)
}

// end makes ReadLoop return, and with it the handler: the library closes the connection after the
// close frame.
func (c *conn) end(code int, reason string) {
	_ = c.SetDeadline(time.Now().Add(closeWait)) // also ends a write that blocks
	_ = c.WriteClose(uint16(code), []byte(reason))
}

// heard gives the client until its next pong or message.
func (c *conn) heard() {
	if c.link.Context().Err() == nil { // otherwise end has set a shorter deadline
		_ = c.SetReadDeadline(time.Now().Add(silence))
	}
}

// OnPong implements gws.Event.
func (c *conn) OnPong(*gws.Conn, []byte) { c.heard() }

// OnMessage implements gws.Event.
func (c *conn) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer func() { _ = message.Close() }()
	c.heard()
	c.link.Received(message.Data.Len())
	text, err := c.reply(c.link.Context(), c.link, message.Data.String())
	if err != nil {
		if c.link.Context().Err() == nil { // otherwise it is already being closed, with a code that says more
			c.end(bridge.CloseCode(err), "")
		}
		return
	}
	if c.send(coder.MessageText, []byte(text)) == nil { // otherwise the library ends ReadLoop
		c.link.Sent(len(text))
	}
}

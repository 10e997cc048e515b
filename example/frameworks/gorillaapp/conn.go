package gorillaapp

import (
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"
)

const (
	writeTimeout = 10 * time.Second // of one message to a client that doesn't read
	maxMessage   = 64 << 10         // bytes, from a client
	heartbeat    = 30 * time.Second // proxies close what is silent for a minute or so
	silence      = 45 * time.Second // of a client: longer than a heartbeat and the way of its pong
	closeWait    = time.Second      // for the client's close frame
)

// conn is a connection. The library allows one writer at a time, besides WriteControl.
type conn struct {
	*websocket.Conn
	writing sync.Mutex
}

// send sends a message. The kinds of messages are those of the protocol in every library.
func (c *conn) send(kind coder.MessageType, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.WriteMessage(int(kind), data)
}

// end makes ReadMessage fail, and with it the handler return: when the client has answered the close
// frame, after closeWait at the latest.
func (c *conn) end(code int, reason string) {
	deadline := time.Now().Add(closeWait)
	if c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), deadline) != nil {
		_ = c.Close() // the client has disconnected, or doesn't read
		return
	}
	_ = c.NetConn().SetReadDeadline(deadline)
}

package gobwasapp

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const (
	writeTimeout = 10 * time.Second // of one message to a client that doesn't read
	maxMessage   = 64 << 10         // bytes, from a client
	heartbeat    = 30 * time.Second // proxies close what is silent for a minute or so
	silence      = 45 * time.Second // of a client: longer than a heartbeat and the way of its pong
	closeWait    = time.Second      // for the client's close frame
)

// conn is a connection. The library writes the header and the payload of a frame separately and has no
// lock, so each frame is compiled first and written at once.
type conn struct {
	net.Conn
	link    *bridge.Link // nil until it is attached
	writing sync.Mutex
	closing bool // nothing follows the close frame
}

// Write implements io.Writer for the library's answers to pings and close frames.
func (c *conn) Write(frame []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing {
		return 0, net.ErrClosed
	}
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.Conn.Write(frame)
}

func (c *conn) writeFrame(frame ws.Frame) error {
	compiled, err := ws.CompileFrame(frame)
	if err == nil {
		_, err = c.Write(compiled)
	}
	return err
}

// send sends a message. The kinds of messages are those of the protocol in every library.
func (c *conn) send(kind coder.MessageType, data []byte) error {
	return c.writeFrame(ws.NewFrame(ws.OpCode(kind), true, data))
}

func (c *conn) ping(context.Context) error { return c.writeFrame(ws.NewPingFrame(nil)) }

// end makes read fail, and with it the handler return: when the client has answered the close frame,
// after closeWait at the latest.
func (c *conn) end(code int, reason string) {
	deadline := time.Now().Add(closeWait)
	_ = c.SetDeadline(deadline) // also ends a write that blocks
	c.writing.Lock()
	defer c.writing.Unlock()
	c.closing = true
	_ = c.SetWriteDeadline(deadline)
	if ws.WriteFrame(c.Conn, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason))) != nil {
		_ = c.Close()
	}
}

// read returns the next message. wsutil.ReadClientData does the same without a limit.
func (c *conn) read() ([]byte, error) {
	control := wsutil.ControlFrameHandler(c, ws.StateServerSide)
	messages := wsutil.Reader{
		Source: c, State: ws.StateServerSide, CheckUTF8: true, MaxFrameSize: maxMessage, OnIntermediate: control,
	}
	for {
		if c.link != nil && c.link.Context().Err() == nil { // otherwise end has set a shorter deadline
			_ = c.SetReadDeadline(time.Now().Add(silence))
		}
		header, err := messages.NextFrame()
		if err != nil {
			return nil, err
		}
		if header.OpCode.IsControl() {
			if err := control(header, &messages); err != nil {
				return nil, err
			}
			continue
		}
		message, err := io.ReadAll(io.LimitReader(&messages, maxMessage+1)) // a message may have several frames
		if err == nil && len(message) > maxMessage {
			err = wsutil.ErrFrameTooLarge
		}
		return message, err
	}
}

package compat_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// gobwasConn is a connection of gobwas/ws. The library writes a frame's header and payload apart and locks nothing, so each frame is
// made first and written at once.
type gobwasConn struct {
	net.Conn
	link    *bridge.Link
	writing sync.Mutex
	closing bool // nothing follows the close frame
}

// alive gives the client time until its next frame.
func (c *gobwasConn) alive() {
	if c.link != nil && c.link.Context().Err() == nil { // otherwise end has set another deadline
		_ = c.SetReadDeadline(time.Now().Add(silence))
	}
}

// beat sends a ping.
func (c *gobwasConn) beat(context.Context) error {
	frame, err := ws.CompileFrame(ws.NewPingFrame(nil))
	if err == nil {
		_, err = c.Write(frame)
	}
	return err
}

// Write implements io.Writer for what the library answers to pings and close frames.
func (c *gobwasConn) Write(frame []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing {
		return 0, net.ErrClosed
	}
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.Conn.Write(frame)
}

func (c *gobwasConn) send(kind coder.MessageType, data []byte) error {
	frame, err := ws.CompileFrame(ws.NewFrame(ws.OpCode(kind), true, data))
	if err == nil {
		_, err = c.Write(frame)
	}
	return err
}

// end makes read fail, and with it the handler return: when the client has answered the close frame, a second later at most.
func (c *gobwasConn) end(code int, reason string) {
	deadline := time.Now().Add(closeWait)
	_ = c.SetDeadline(deadline) // also of a write that hangs
	c.writing.Lock()
	defer c.writing.Unlock()
	c.closing = true
	_ = c.SetWriteDeadline(deadline)
	if ws.WriteFrame(c.Conn, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason))) != nil {
		_ = c.Close()
	}
}

// read returns the next message. wsutil.ReadClientData does the same without a limit.
func (c *gobwasConn) read() ([]byte, error) {
	control := wsutil.ControlFrameHandler(c, ws.StateServerSide)
	r := wsutil.Reader{Source: c, State: ws.StateServerSide, CheckUTF8: true, MaxFrameSize: maxMessage, OnIntermediate: control}
	for {
		c.alive()
		h, err := r.NextFrame()
		if err != nil {
			return nil, err
		}
		if h.OpCode.IsControl() {
			if err := control(h, &r); err != nil {
				return nil, err
			}
			continue
		}
		data, err := io.ReadAll(io.LimitReader(&r, maxMessage+1))
		if err == nil && len(data) > maxMessage {
			err = wsutil.ErrFrameTooLarge
		}
		return data, err
	}
}

// gobwasHandler is an application of gobwas/ws: it answers each message.
func gobwasHandler(b *bridge.Bridge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		below, _, _, err := ws.HTTPUpgrader{Header: b.HandshakeHeader(r)}.Upgrade(r, w)
		if err != nil {
			return // the upgrader has answered
		}
		defer below.Close()
		conn := &gobwasConn{Conn: below}
		link, err := b.Attach(r, conn.end)
		if err != nil {
			conn.end(bridge.CloseCode(err), "")
			_, _ = conn.read() // the client's close frame
			return
		}
		defer link.Detach()
		conn.link = link
		link.OnNotify(0, bridge.CloseSlow, conn.send)
		link.Heartbeat(heartbeat, conn.beat)
		for {
			message, err := conn.read()
			if err != nil {
				return
			}
			link.Received(len(message)) // or link.Active(), where nobody counts
			said := []byte(answer(link.Context(), link, string(message)))
			if conn.send(coder.MessageText, said) != nil {
				return
			}
			link.Sent(len(said))
		}
	})
}

// A connection of gobwas/ws shares its session with the pages, is told, and is closed.
func Example_gobwas() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	v := visit(attachApp(b, gobwasHandler(b)))
	defer v.leave(b)

	fmt.Println("over HTTP:", v.get("/inc"))
	ws := v.dial("/connect")
	fmt.Println("over the socket:", ws.ask("inc"))
	_, _ = b.Notify(context.Background(), bridge.To{SessionID: v.get("/id")}, []byte("you have mail"))
	fmt.Println("pushed:", ws.hear())
	v.get("/login")
	fmt.Println("closed:", ws.end())

	ws = v.dial("/connect") // with the new cookies
	fmt.Println("over the socket:", ws.ask("inc"))
	// Output:
	// over HTTP: 1
	// over the socket: 2
	// pushed: you have mail
	// closed: 4001 session changed: reconnect
	// over the socket: 3
}

package compat_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/lxzan/gws"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// gwsConn is a connection of lxzan/gws, and its event handler. The library locks its writes, but has no limit for how long one takes.
type gwsConn struct {
	gws.BuiltinEventHandler
	*gws.Conn
	link    *bridge.Link
	writing sync.Mutex // so that a write's deadline is its own
}

func (c *gwsConn) send(kind coder.MessageType, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.WriteMessage(gws.Opcode(kind), data)
}

// end makes ReadLoop return, and with it the handler: the library cuts the connection behind the close frame.
func (c *gwsConn) end(code int, reason string) {
	_ = c.SetDeadline(time.Now().Add(closeWait)) // also of a write that hangs
	_ = c.WriteClose(uint16(code), []byte(reason))
}

// alive gives the client time until its next pong or message.
func (c *gwsConn) alive() {
	if c.link.Context().Err() == nil { // otherwise end has set another deadline
		_ = c.SetReadDeadline(time.Now().Add(silence))
	}
}

// OnPong implements gws.Event.
func (c *gwsConn) OnPong(*gws.Conn, []byte) { c.alive() }

// OnMessage implements gws.Event.
func (c *gwsConn) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer message.Close()
	c.alive()
	c.link.Received(message.Data.Len()) // or link.Active(), where nobody counts
	said := []byte(answer(c.link.Context(), c.link, message.Data.String()))
	if c.send(coder.MessageText, said) == nil { // otherwise the library ends ReadLoop
		c.link.Sent(len(said))
	}
}

// gwsHandler is an application of lxzan/gws: it answers each message.
func gwsHandler(b *bridge.Bridge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := &gwsConn{}
		// The header is the upgrader's, so each request has an upgrader. Of several cookies it sends the first, which is the session's.
		upgrader := gws.NewUpgrader(conn, &gws.ServerOption{
			ResponseHeader: b.HandshakeHeader(r), ReadMaxPayloadSize: maxMessage, CheckUtf8Enabled: true,
		})
		ws, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // the upgrader has answered
		}
		conn.Conn = ws
		link, err := b.Attach(r, conn.end)
		if err != nil {
			conn.end(bridge.CloseCode(err), "")
			return
		}
		defer link.Detach()
		conn.link = link
		link.OnNotify(0, bridge.CloseSlow, conn.send)
		conn.alive()
		link.Heartbeat(heartbeat, func(context.Context) error {
			conn.writing.Lock()
			defer conn.writing.Unlock()
			_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			return conn.WritePing(nil)
		})
		ws.ReadLoop()
	})
}

// A connection of lxzan/gws shares its session with the pages, is told, and is closed.
func Example_gws() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	v := visit(attachApp(b, gwsHandler(b)))
	defer v.leave(b)

	fmt.Println("over HTTP:", v.get("/inc"))
	ws := v.dial("/connect")
	fmt.Println("over the socket:", ws.ask("inc"))
	_, _ = b.Notify(context.Background(), bridge.To{SessionID: v.get("/id")}, []byte("you have mail"))
	fmt.Println("pushed:", ws.hear())
	_, _ = b.CloseConn(context.Background(), ws.ask("id"), 4100, "enough for today")
	fmt.Println("closed:", ws.end())
	// Output:
	// over HTTP: 1
	// over the socket: 2
	// pushed: you have mail
	// closed: 4100 enough for today
}

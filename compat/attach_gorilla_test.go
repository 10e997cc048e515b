package compat_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// gorillaConn is a connection of gorilla/websocket. The library allows one writer at a time, beside WriteControl.
type gorillaConn struct {
	*gorilla.Conn
	writing sync.Mutex
}

// send takes the kinds of bridge.Link.OnNotify, which are those of the protocol.
func (c *gorillaConn) send(kind coder.MessageType, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.WriteMessage(int(kind), data)
}

// end makes ReadMessage fail, and with it the handler return: when the client has answered the close frame, a second later at most.
func (c *gorillaConn) end(code int, reason string) {
	deadline := time.Now().Add(closeWait)
	if c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), deadline) != nil {
		_ = c.Close() // the client is gone, or takes nothing
		return
	}
	_ = c.NetConn().SetReadDeadline(deadline)
}

// gorillaHandler is an application of gorilla/websocket: it answers each message.
func gorillaHandler(b *bridge.Bridge) http.Handler {
	var upgrader gorilla.Upgrader
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, b.HandshakeHeader(r)) // it writes the 101 itself: the cookies are handed over
		if err != nil {
			return // the upgrader has answered
		}
		defer ws.Close()
		ws.SetReadLimit(maxMessage)
		conn := &gorillaConn{Conn: ws}
		link, err := b.Attach(r, conn.end)
		if err != nil {
			conn.end(bridge.CloseCode(err), "")
			_, _, _ = ws.ReadMessage() // the client's close frame
			return
		}
		defer link.Detach()
		link.OnNotify(0, bridge.CloseSlow, conn.send)
		alive := func(string) error {
			if link.Context().Err() != nil { // end has set another deadline
				return nil
			}
			return ws.SetReadDeadline(time.Now().Add(silence))
		}
		_ = alive("")
		ws.SetPongHandler(alive)
		link.Heartbeat(heartbeat, func(context.Context) error {
			return ws.WriteControl(gorilla.PingMessage, nil, time.Now().Add(writeTimeout))
		})
		for {
			_, message, err := ws.ReadMessage()
			if err != nil {
				return
			}
			_ = alive("")
			link.Received(len(message)) // or link.Active(), where nobody counts
			said := []byte(answer(link.Context(), link, string(message)))
			if conn.send(coder.MessageText, said) != nil {
				return
			}
			link.Sent(len(said))
		}
	})
}

// A connection of gorilla/websocket shares its session with the pages, is told, and is closed.
func Example_gorillaWebSocket() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	v := visit(attachApp(b, gorillaHandler(b)))
	defer v.leave(b)

	fmt.Println("over HTTP:", v.get("/inc"))
	ws := v.dial("/connect")
	fmt.Println("over the socket:", ws.ask("inc"))
	fmt.Println("over HTTP:", v.get("/inc"))

	sessionID := v.get("/id")
	_, _ = b.Notify(context.Background(), bridge.To{SessionID: sessionID}, []byte("you have mail"))
	fmt.Println("pushed:", ws.hear())

	_, _ = b.DestroyByID(context.Background(), sessionID)
	fmt.Println("closed:", ws.end())
	// Output:
	// over HTTP: 1
	// over the socket: 2
	// over HTTP: 3
	// pushed: you have mail
	// closed: 4500 destroyed
}

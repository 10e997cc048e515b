// Package gorillaapp is the application with the connections of github.com/gorilla/websocket, which
// are attached to their session.
package gorillaapp

import (
	"context"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/counter"
)

// New returns the application's handler.
func New(b *bridge.Bridge) http.Handler {
	mux := counter.Pages(b)
	mux.Handle("/ws", Socket(b, counter.Reply))
	return b.Handler(mux)
}

// Socket returns a handler of connections that answers each message with what reply returns.
func Socket(
	b *bridge.Bridge, reply func(ctx context.Context, link *bridge.Link, message string) (string, error),
) http.Handler {
	var upgrader websocket.Upgrader
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, b.HandshakeHeader(r)) // the library writes the 101, so it gets the cookies
		if err != nil {
			return // the upgrader has answered
		}
		defer func() { _ = ws.Close() }()
		ws.SetReadLimit(maxMessage)
		c := &conn{Conn: ws}
		link, err := b.Attach(r, c.end)
		if err != nil {
			c.end(bridge.CloseCode(err), "")
			_, _, _ = ws.ReadMessage() // the client's close frame
			return
		}
		defer link.Detach()
		c.keepAlive(link)
		link.OnNotify(0, bridge.CloseSlow, c.send)
		for {
			_, message, err := ws.ReadMessage()
			if err != nil {
				return
			}
			c.heard(link)
			link.Received(len(message))
			text, err := reply(link.Context(), link, string(message))
			if err != nil {
				if link.Context().Err() == nil { // otherwise it is already being closed, with a code that says more
					c.end(bridge.CloseCode(err), "")
				}
				return
			}
			if c.send(websocket.TextMessage, []byte(text)) != nil {
				return
			}
			link.Sent(len(text))
		}
	})
}

// keepAlive sends pings, and gives the client until its next pong or message.
func (c *conn) keepAlive(link *bridge.Link) {
	c.heard(link)
	c.SetPongHandler(func(string) error { c.heard(link); return nil })
	link.Heartbeat(heartbeat, func(context.Context) error {
		return c.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout))
	})
}

func (c *conn) heard(link *bridge.Link) {
	if link.Context().Err() == nil { // otherwise end has set a shorter deadline
		_ = c.SetReadDeadline(time.Now().Add(silence))
	}
}

// Package gobwasapp is the application with the connections of github.com/gobwas/ws, which are attached
// to their session.
package gobwasapp

import (
	"context"
	"net/http"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"

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
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		netConn, _, _, err := ws.HTTPUpgrader{Header: b.HandshakeHeader(r)}.Upgrade(r, w)
		if err != nil {
			return // the upgrader has answered
		}
		defer func() { _ = netConn.Close() }()
		c := &conn{Conn: netConn}
		link, err := b.Attach(r, c.end)
		if err != nil {
			c.end(bridge.CloseCode(err), "")
			_, _ = c.read() // the client's close frame
			return
		}
		defer link.Detach()
		c.link = link
		link.OnNotify(0, bridge.CloseSlow, c.send)
		link.Heartbeat(heartbeat, c.ping)
		for {
			message, err := c.read()
			if err != nil {
				return
			}
			link.Received(len(message))
			text, err := reply(link.Context(), link, string(message))
			if err != nil {
				if link.Context().Err() == nil { // otherwise it is already being closed, with a code that says more
					c.end(bridge.CloseCode(err), "")
				}
				return
			}
			if c.send(coder.MessageText, []byte(text)) != nil {
				return
			}
			link.Sent(len(text))
		}
	})
}

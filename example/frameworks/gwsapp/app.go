// Package gwsapp is the application with the connections of github.com/lxzan/gws, which are attached to
// their session.
package gwsapp

import (
	"context"
	"net/http"

	"github.com/lxzan/gws"

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
//
// The response header is a part of the upgrader, so each request has an upgrader of its own. Of
// several cookies the library sends the first, which is the session's.
func Socket(
	b *bridge.Bridge, reply func(ctx context.Context, link *bridge.Link, message string) (string, error),
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &conn{reply: reply}
		upgrader := gws.NewUpgrader(c, &gws.ServerOption{
			ResponseHeader: b.HandshakeHeader(r), ReadMaxPayloadSize: maxMessage, CheckUtf8Enabled: true,
		})
		ws, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // the upgrader has answered
		}
		c.Conn = ws
		link, err := b.Attach(r, c.end)
		if err != nil {
			c.end(bridge.CloseCode(err), "")
			return
		}
		defer link.Detach()
		c.link = link
		link.OnNotify(0, bridge.CloseSlow, c.send)
		c.heard()
		link.Heartbeat(heartbeat, c.ping)
		ws.ReadLoop()
	})
}

package migrate

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// afterSocketIO is the application after the move from Express with Socket.IO, and from koa-io-session.
func afterSocketIO(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", withBridge(b))
	mux.Handle("/ws", b.Messages(func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		page, err := visit(ctx, s)
		if err != nil {
			return err
		}
		room := bridge.To{UserID: s.UserID(), Except: c.ID()} // io.to("user:" + user).except(socket.id)
		if s.UserID() != "" {
			if err := msg.NotifyJSON(room, map[string]any{"event": "visited", "data": page}); err != nil {
				return err
			}
		}
		return msg.ReplyJSON(page) // the acknowledgement
	}, nil))
	mux.HandleFunc("POST /kick/{user}", func(w http.ResponseWriter, r *http.Request) {
		// Check first that the caller is an administrator. The user's sessions end, and with them the sockets.
		n, err := b.DestroyUser(r.Context(), r.PathValue("user"))
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, n)
	})
	return b.Handler(mux)
}

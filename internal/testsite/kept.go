package testsite

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Kept sends numbered messages to all its connections, those first that a connection has missed. It
// follows the wire form of docs/sockets.md, and has what is published while the site is stopped, as if
// another process kept it. The Bridge doesn't know of it.
type Kept struct {
	mu      sync.Mutex
	log     []string
	changed chan struct{} // closed at the next message
}

func newKept() *Kept { return &Kept{changed: make(chan struct{})} }

// Publish adds a message.
func (k *Kept) Publish(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, text)
	close(k.changed)
	k.changed = make(chan struct{})
}

// after returns the messages after a position, and a channel that is closed when there are more.
func (k *Kept) after(at int) (missed []string, more <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log[min(at, len(k.log)):], k.changed
}

type positionKey struct{}

// handler accepts connections. A handshake without a position gets what is published from then on.
func (k *Kept) handler(b *bridge.Bridge) http.Handler {
	sockets := b.WebSocket(k.serve, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		missed, _ := k.after(0)
		at := len(missed)
		for name := range strings.SplitSeq(r.Header.Get("Sec-WebSocket-Protocol"), ",") {
			if position, ok := strings.CutPrefix(strings.TrimSpace(name), "sessionbridge.kept."); ok {
				at, _ = strconv.Atoi(position)
			}
		}
		r = r.Clone(context.WithValue(r.Context(), positionKey{}, at))
		r.Header.Set("Sec-WebSocket-Protocol", bridge.Subprotocol)
		sockets.ServeHTTP(w, r)
	})
}

func (k *Kept) serve(ctx context.Context, c *bridge.Conn) error {
	at, _ := ctx.Value(positionKey{}).(int)
	ended := c.CloseRead().Done()
	send := func(header, content string) error {
		return c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "\x1e%d%s\n%s", at, header, content))
	}
	for ready := false; ; {
		missed, more := k.after(at)
		for _, text := range missed {
			at++
			if err := send("", text); err != nil {
				return err
			}
		}
		if !ready {
			ready = true
			if err := send(" ready", ""); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ended:
			return nil
		}
	}
}

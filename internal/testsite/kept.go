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
// follows the wire form of docs/clients.md.
type Kept struct {
	work sync.WaitGroup

	mu      sync.Mutex
	log     []string
	changed chan struct{} // closed at the next change
	closed  bool
	conns   int
}

func newKept() *Kept { return &Kept{changed: make(chan struct{})} }

// Publish adds a message.
func (k *Kept) Publish(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, text)
	k.wake()
}

// Conns returns the number of connections that were opened.
func (k *Kept) Conns() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conns
}

func (k *Kept) wake() {
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *Kept) open() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = false
}

func (k *Kept) close() {
	k.mu.Lock()
	k.closed = true
	k.wake()
	k.mu.Unlock()
	k.work.Wait()
}

// ServeHTTP accepts a connection.
func (k *Kept) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.conns++
	at, closed := len(k.log), k.closed
	if !closed {
		k.work.Add(1)
		defer k.work.Done()
	}
	k.mu.Unlock()
	if closed {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for name := range strings.SplitSeq(r.Header.Get("Sec-WebSocket-Protocol"), ",") {
		if position, ok := strings.CutPrefix(strings.TrimSpace(name), "sessionbridge.kept."); ok {
			at, _ = strconv.Atoi(position)
		}
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{bridge.Subprotocol}})
	if err != nil {
		return
	}
	defer ws.CloseNow() //nolint:errcheck // it may be closed
	k.serve(ws.CloseRead(r.Context()), ws, at)
}

func (k *Kept) serve(ctx context.Context, ws *websocket.Conn, at int) {
	for ready := false; ; {
		k.mu.Lock()
		missed, changed, closed := k.log[at:], k.changed, k.closed
		k.mu.Unlock()
		if closed {
			_ = ws.Close(bridge.CodeShutdown, "shutting down; retry after 20 ms")
			return
		}
		frames := make([]string, 0, len(missed)+1)
		for _, text := range missed {
			at++
			frames = append(frames, fmt.Sprintf("\x1e%d\n%s", at, text))
		}
		if !ready {
			ready = true
			frames = append(frames, fmt.Sprintf("\x1e%d ready\n", at))
		}
		for _, frame := range frames {
			if ws.Write(ctx, websocket.MessageText, []byte(frame)) != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

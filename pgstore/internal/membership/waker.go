package membership

import (
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
)

// Waker notifies nodes that their inboxes have something. While a statement is under way, further
// nodes wait for the next one, so that there is at most one at a time however many changes there are.
type Waker struct {
	conn       *conn.Conn
	background *background.Group

	mu      sync.Mutex
	nodes   map[string]bool
	running bool
}

// NewWaker returns a Waker that runs in the group.
func NewWaker(c *conn.Conn, group *background.Group) *Waker {
	return &Waker{conn: c, background: group, nodes: map[string]bool{}}
}

// Wake notifies the nodes soon. A notification that fails is not repeated: the nodes read their
// inboxes anyway.
func (w *Waker) Wake(nodes []string) {
	if len(nodes) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range nodes {
		w.nodes[name] = true
	}
	if !w.running {
		w.running = w.background.Go(w.run)
	}
}

// run sends notifications until there are none left.
func (w *Waker) run() {
	for {
		nodes := w.next()
		if len(nodes) == 0 {
			return
		}
		ctx := w.background.Context()
		_ = w.conn.Exec(ctx, "notifying nodes",
			"SELECT pg_notify($2 || n, '') FROM unnest($1::text[]) n", nodes, channelPrefix)
	}
}

func (w *Waker) next() (nodes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.nodes {
		nodes = append(nodes, name)
	}
	clear(w.nodes)
	w.running = len(nodes) > 0
	return nodes
}

// channelPrefix and the name of a node are the name of its channel.
const channelPrefix = "sb_"

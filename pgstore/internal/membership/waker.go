package membership

import (
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/background"
	"github.com/sessionbridge/sessionbridge/pgstore/internal/conn"
)

// Waker notifies nodes that their inboxes have something, and that sessions have been stored. While a
// statement is under way, and for a moment after one with many notifications, further ones wait for the
// next, so that there are few statements however many changes there are.
type Waker struct {
	send       func(nodes, payloads []string)
	background *background.Group

	mu      sync.Mutex
	pending map[notification]bool
	running bool
}

// notification is for a node: what has happened, and to which session.
type notification struct{ node, payload string }

// The payloads of notifications. An empty one means that the inbox has entries.
const (
	payloadOwn    = "c" // followed by the number of the heartbeat with which the node itself sends it
	payloadStored = "s" // followed by the ID of a session that was stored
)

const (
	maxPending = 4096 // notifications that wait; more about stored sessions are dropped
	maxHintID  = 255  // of an ID in a notification, which PostgreSQL limits to 8000 bytes
)

// After a statement with more than fewNotifications the next one comes a pause later. Each is a commit of
// its own, which costs as much as that of a batch of changes.
const (
	fewNotifications = 8
	pause            = 4 * time.Millisecond
)

// NewWaker returns a Waker that runs in the group.
func NewWaker(c *conn.Conn, group *background.Group) *Waker {
	send := func(nodes, payloads []string) {
		_ = c.Exec(group.Context(), "notifying nodes",
			"SELECT pg_notify($3 || n.node, n.payload) FROM unnest($1::text[], $2::text[]) n (node, payload)",
			nodes, payloads, channelPrefix)
	}
	return &Waker{send: send, background: group, pending: map[notification]bool{}}
}

// Wake notifies the nodes soon. A notification that fails is not repeated: the nodes read their
// inboxes anyway.
func (w *Waker) Wake(nodes []string) { w.add(nodes, "") }

// Stored tells the nodes soon that the session was stored.
func (w *Waker) Stored(nodes []string, id string) {
	if len(id) <= maxHintID {
		w.add(nodes, payloadStored+id)
	}
}

func (w *Waker) add(nodes []string, payload string) {
	if len(nodes) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range nodes {
		if payload == "" || len(w.pending) < maxPending {
			w.pending[notification{name, payload}] = true
		}
	}
	if !w.running {
		w.running = w.background.Go(w.run)
	}
}

// run sends notifications until there are none left.
func (w *Waker) run() {
	for {
		nodes, payloads := w.next()
		if len(nodes) == 0 {
			return
		}
		w.send(nodes, payloads)
		if len(nodes) > fewNotifications && !background.Sleep(w.background.Context(), pause) {
			return
		}
	}
}

func (w *Waker) next() (nodes, payloads []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.pending {
		nodes, payloads = append(nodes, n.node), append(payloads, n.payload)
	}
	clear(w.pending)
	w.running = len(nodes) > 0
	return nodes, payloads
}

// channelPrefix and the name of a node are the name of its channel.
const channelPrefix = "sb_"

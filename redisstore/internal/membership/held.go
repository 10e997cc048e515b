package membership

import (
	"sync"

	"github.com/sessionbridge/sessionbridge/redisstore/internal/codec"
)

// Items that a node can hold: a session, named kindSession and its member, or a client, named
// kindClient and the member of the client's ID.
const (
	kindSession = "h"
	kindClient  = "k"
)

// item is a session or a client that a node holds.
type item struct {
	shard int
	name  string
}

// storedName returns the name of an item in Redis, which has a client under its score.
func storedName(name string) string {
	if name[:1] != kindClient {
		return name
	}
	id, err := codec.ID(name[1:])
	if err != nil { // impossible: the name was made by codec.Member
		return name
	}
	return kindClient + codec.NumberText(codec.Score(id))
}

// holdsAtOnce is the number of items that a script is asked to hold at once.
const holdsAtOnce = 128

// held is what a node holds in a shard. With it the node restores its holdings in a new term, and
// ignores changes of other sessions.
type held struct {
	mu    sync.Mutex
	items map[string]holding
}

// holding is the state of an item: it is held if confirmed, or as long as calls are pending.
type holding struct {
	pending   int32 // calls of Hold
	confirmed bool  // one has succeeded
}

// begin is called before the store is asked to hold an item, because changes may arrive before the
// reply.
func (h *held) begin(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.items == nil {
		h.items = map[string]holding{}
	}
	item := h.items[name]
	item.pending++
	h.items[name] = item
}

// finish is called with the reply of the store. It does not hold again an item that was removed
// since.
func (h *held) finish(name string, succeeded bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	item, ok := h.items[name]
	if !ok {
		return
	}
	item.pending = max(item.pending-1, 0)
	item.confirmed = item.confirmed || succeeded
	if item.confirmed || item.pending > 0 {
		h.items[name] = item
	} else {
		delete(h.items, name)
	}
}

// remove reports whether the item was held.
func (h *held) remove(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.items[name]
	delete(h.items, name)
	return ok
}

func (h *held) has(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.items[name]
	return ok
}

// names returns the names of all items.
func (h *held) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, 0, len(h.items))
	for name := range h.items {
		names = append(names, name)
	}
	return names
}

package membership

import "sync"

// Kinds of what a node can hold.
const (
	kindSession = "s"
	kindClient  = "c"
	kindKept    = "k" // the messages that are kept for a session or a user, by codec.Topic
)

// item is a session, a client or a log of kept messages that a node holds.
type item struct{ kind, id string }

// itemsAtOnce is the number of items that a statement holds or releases at once.
const itemsAtOnce = 256

// held is what a node holds. With it the node restores its holdings in a new term, and ignores
// changes of other sessions.
type held struct {
	mu    sync.Mutex
	items map[item]holding
}

// holding is the state of an item: it is held if confirmed, or as long as calls are pending.
type holding struct {
	pending   int32 // calls of Hold
	confirmed bool  // one has succeeded
}

// begin is called before the server is asked to hold an item, because changes may arrive before the
// reply.
func (h *held) begin(it item) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.items == nil {
		h.items = map[item]holding{}
	}
	state := h.items[it]
	state.pending++
	h.items[it] = state
}

// finish is called with the reply of the server. It does not hold again an item that was removed
// since.
func (h *held) finish(it item, succeeded bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state, ok := h.items[it]
	if !ok {
		return
	}
	state.pending = max(state.pending-1, 0)
	state.confirmed = state.confirmed || succeeded
	if state.confirmed || state.pending > 0 {
		h.items[it] = state
	} else {
		delete(h.items, it)
	}
}

// remove reports whether the item was held.
func (h *held) remove(it item) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.items[it]
	delete(h.items, it)
	return ok
}

func (h *held) has(it item) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.items[it]
	return ok
}

// all returns all items.
func (h *held) all() []item {
	h.mu.Lock()
	defer h.mu.Unlock()
	items := make([]item, 0, len(h.items))
	for it := range h.items {
		items = append(items, it)
	}
	return items
}

package terms

import "sync"

// Held is what a node holds. With it the node restores its holdings in a new term, and ignores
// changes of other sessions. The zero value holds nothing. It is safe for concurrent use.
type Held[I comparable] struct {
	mu    sync.Mutex
	items map[I]holding
}

// holding is the state of an item: it is held if confirmed, or as long as calls are pending.
type holding struct {
	pending   int32 // calls of Begin
	confirmed bool  // one has succeeded
}

// Begin is called before the server is asked to hold an item, because changes may arrive before the
// reply.
func (h *Held[I]) Begin(it I) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.items == nil {
		h.items = map[I]holding{}
	}
	state := h.items[it]
	state.pending++
	h.items[it] = state
}

// Finish is called with the reply of the server. It does not hold again an item that was removed
// since.
func (h *Held[I]) Finish(it I, succeeded bool) {
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

// Remove reports whether the item was held.
func (h *Held[I]) Remove(it I) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.items[it]
	delete(h.items, it)
	return ok
}

// Has reports whether the item is held.
func (h *Held[I]) Has(it I) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.items[it]
	return ok
}

// All returns all items, in no order.
func (h *Held[I]) All() []I {
	h.mu.Lock()
	defer h.mu.Unlock()
	items := make([]I, 0, len(h.items))
	for it := range h.items {
		items = append(items, it)
	}
	return items
}

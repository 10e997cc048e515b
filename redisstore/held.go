package redisstore

import "sync"

// item is something that a node holds. Its name is 'h' and the member of a session, or 'k' and that of a client's ID.
type item struct {
	shard int
	name  string
}

func (m *membership) items(sessionID, clientID string) (items []item) {
	if sessionID != "" {
		items = append(items, m.item("h", sessionID))
	}
	if clientID != "" {
		items = append(items, m.item("k", clientID))
	}
	return items
}

func (m *membership) item(kind, id string) item {
	member := memberOf(id)
	return item{shardOf(member, len(m.store.prefixes)), kind + member}
}

// stored returns how Redis calls the item: a client by its place.
func stored(name string) string {
	if name[0] != 'k' {
		return name
	}
	id, err := idOf(name[1:])
	if err != nil { // it was made by memberOf
		return name
	}
	var place [6]byte
	putSix(place[:], placeOf(id))
	return "k" + string(place[:])
}

// held is what a node holds in a shard, so that it can hold it again, and can tell what is about nothing of its own.
type held struct {
	mu    sync.Mutex
	items map[string]grip
}

// grip says how far the node has got hold of something.
type grip struct {
	calls int32 // of Hold, under way
	sure  bool  // one has succeeded
}

// want is called before the store is asked: news may arrive before its answer.
func (h *held) want(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.items == nil {
		h.items = map[string]grip{}
	}
	g := h.items[name]
	g.calls++
	h.items[name] = g
}

// got is called with the store's answer. What was released meanwhile stays so.
func (h *held) got(name string, sure bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, ok := h.items[name]
	if !ok {
		return
	}
	g.calls = max(g.calls-1, 0)
	g.sure = g.sure || sure
	if g.sure || g.calls > 0 {
		h.items[name] = g
	} else {
		delete(h.items, name)
	}
}

// drop returns whether it was held.
func (h *held) drop(name string) bool {
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

// all returns the names of everything that is held now.
func (h *held) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, 0, len(h.items))
	for name := range h.items {
		names = append(names, name)
	}
	return names
}

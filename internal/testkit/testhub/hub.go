package testhub

import (
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/kept"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// Hub is a store in memory that several Bridges share as nodes, as processes share a Redis. A test
// can disconnect its nodes.
type Hub struct {
	*livestore.Store
	kept      *kept.Memory
	mu        sync.Mutex
	nodes     []*Node
	locked    map[string]int   // users, by ID: how often each is locked
	taken     map[string]*Node // reserved sessions, by ID
	FailHolds atomic.Bool      // whether Hold fails
	UnlockErr error            // returned by the release of a user's lock
	Shaken    bool             // whether calls yield to other goroutines; set before the first call
}

// New returns a hub without nodes.
func New() *Hub {
	return &Hub{
		Store: livestore.New(), locked: make(map[string]int), taken: make(map[string]*Node),
		kept: kept.NewMemory(math.MaxInt, func(time.Duration, func()) {}),
	}
}

// Watch implements store.Watcher.
func (h *Hub) Watch(tell func(store.Change)) store.Node {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := &Node{
		Store: h.Store, hub: h, name: "node" + strconv.Itoa(len(h.nodes)),
		tell: tell, done: make(chan struct{}),
		sessions: make(map[string]bool), clients: make(map[string]bool),
	}
	n.arrived.L = &n.newsMu
	h.nodes = append(h.nodes, n)
	go n.deliver() // ends with Leave
	return n
}

// Node returns the node of the nth Bridge, from 0.
func (h *Hub) Node(n int) *Node {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.nodes[n]
}

package bridge

import (
	"context"
	"fmt"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// holding tracks the subscriptions of this node: the sessions and clients that have connections, and
// the clients that were seen recently. So the notifications that a node receives grow with its own
// connections, not with the number of nodes.
type holding struct {
	c  *cluster
	mu sync.Mutex
	by map[holdKey]*holdState
	// those of by that aren't held although they should be: nobody waits for them, or that failed
	open map[holdKey]struct{}
}

type holdKey struct {
	client bool
	id     string
}

// holdState is of one session or client. The lock guards it.
type holdState struct {
	refs int
	held bool
	busy chan struct{} // closed when the store has answered; nil: it isn't asked
}

func (h *holding) init(c *cluster) {
	h.c, h.by, h.open = c, make(map[holdKey]*holdState), make(map[holdKey]struct{})
}

// want counts one more reason to hold it.
func (h *holding) want(key holdKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.by[key]
	if s == nil {
		s = &holdState{}
		h.by[key] = s
	}
	s.refs++
	if !s.held {
		h.open[key] = struct{}{}
	}
}

// drop counts one less, and lets go of what there is no reason to hold any more.
func (h *holding) drop(key holdKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.by[key]
	if s == nil {
		return
	}
	if s.refs--; s.refs == 0 && s.busy == nil {
		h.letGo(key, s)
	}
}

// letGo needs the lock. Nobody is asking the store about the key.
func (h *holding) letGo(key holdKey, s *holdState) {
	delete(h.open, key)
	if !s.held || h.c.b.work.Stopped() { // the node is about to leave
		delete(h.by, key)
		return
	}
	s.held, s.busy = false, make(chan struct{})
	h.c.b.pools.subscriptions.Go(func() {
		ctx, cancel := h.limit(context.Background())
		defer cancel()
		session, client := key.ids()
		if err := h.c.node.Release(ctx, session, client); err != nil {
			h.c.b.storeFailed(ctx, "let go of a session", session, err)
		}
		h.settle([]holdKey{key}, false)
	})
}

func (k holdKey) ids() (session, client string) {
	if k.client {
		return "", k.id
	}
	return k.id, ""
}

func (h *holding) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, h.c.b.opts.StoreTimeout)
}

// settle notes what the store has answered: whether the keys are held.
func (h *holding) settle(keys []holdKey, held bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range keys {
		s := h.by[key]
		close(s.busy)
		s.busy, s.held = nil, held
		switch {
		case s.refs == 0:
			h.letGo(key, s)
		case held:
			delete(h.open, key)
		default:
			h.open[key] = struct{}{}
		}
	}
}

// claim returns those of the keys that the caller is to ask the store for, or what to wait for first. Neither: all that are wanted are held.
func (h *holding) claim(keys []holdKey) (mine []holdKey, wait <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range keys {
		if s := h.by[key]; s != nil && s.busy != nil {
			return nil, s.busy
		}
	}
	for _, key := range keys {
		if s := h.by[key]; s != nil && !s.held {
			s.busy = make(chan struct{})
			mine = append(mine, key)
		}
	}
	return mine, nil
}

// hold returns when the node is sure to be told of all of these that are wanted. Those who wait for others to ask the store don't wait longer than these.
func (h *holding) hold(ctx context.Context, keys ...holdKey) error {
	limited, cancel := h.limit(ctx)
	defer cancel()
	for {
		mine, wait := h.claim(keys)
		switch {
		case wait != nil:
			select {
			case <-wait:
			case <-limited.Done():
				return gateway.Unavailable(ctx, "hold the session", context.Cause(limited))
			}
		case len(mine) == 0:
			return nil
		default:
			return h.ask(ctx, mine)
		}
	}
}

// ask asks the store for a session and a client at most.
func (h *holding) ask(ctx context.Context, keys []holdKey) (err error) {
	held := false
	defer func() { h.settle(keys, held) }()                // also if the store panics
	limited, cancel := h.limit(context.WithoutCancel(ctx)) // others may wait for it
	defer cancel()
	var session, client string
	for _, key := range keys {
		if key.client {
			client = key.id
		} else {
			session = key.id
		}
	}
	if err := h.c.node.Hold(limited, session, client); err != nil {
		return fmt.Errorf("%w: hold the session: %w", ErrStoreUnavailable, err)
	}
	held = true
	return nil
}

// retryAtOnce is how many of those that aren't held are asked for at a time.
const retryAtOnce = 1024

// retry asks for what isn't held yet, unless the store doesn't answer anyway.
func (h *holding) retry() {
	if !h.c.healthy() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for key := range h.open {
		delete(h.open, key) // it comes back if it fails
		h.soon(key)
		if n++; n == retryAtOnce {
			return
		}
	}
}

// soon subscribes in the background, and then rechecks the session, which may have changed before.
func (h *holding) soon(key holdKey) {
	b := h.c.b
	b.pools.subscriptions.Go(func() {
		if b.work.Stopped() || h.hold(context.Background(), key) != nil {
			return
		}
		switch session, client := key.ids(); {
		case client != "":
			b.pools.background.Go(func() { h.c.lookAtClient(client) })
		case b.links.HasSession(session):
			b.pools.background.Go(func() { b.recheckSession(session) })
		}
	})
}

// want and drop count the reasons to hold a session or a client. The caller sees to it that it is held.
func (c *cluster) want(key holdKey) {
	if c != nil {
		c.holding.want(key)
	}
}

func (c *cluster) drop(key holdKey) {
	if c != nil {
		c.holding.drop(key)
	}
}

// hold returns when the node is sure to be told of the session, "" being none, and its client.
func (c *cluster) hold(ctx context.Context, sessionID, clientID string) error {
	if c == nil {
		return nil
	}
	if sessionID == "" {
		return c.holding.hold(ctx, holdKey{true, clientID})
	}
	return c.holding.hold(ctx, holdKey{false, sessionID}, holdKey{true, clientID})
}

// holdSoon is hold for a session that connections here have followed to, which is looked at when it is held: it may have ended before.
func (c *cluster) holdSoon(sessionID string) {
	if c == nil {
		return
	}
	c.holding.soon(holdKey{false, sessionID})
}

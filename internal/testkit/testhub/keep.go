package testhub

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Keep and Kept implement store.Keeper.
func (n *Node) Keep(ctx context.Context, to store.KeptFor, m store.KeptMessage, limits store.KeepLimits) error {
	return n.do(func() error { return n.hub.keep(ctx, n, to, m, limits) })
}

func (n *Node) Kept(ctx context.Context, to store.KeptFor, after uint64) (kept store.Kept, err error) {
	if n.BeforeKept != nil {
		n.BeforeKept(to)
	}
	err = n.do(func() error {
		kept, err = n.hub.kept.Kept(ctx, to, after)
		return err
	})
	return kept, err
}

// Keep and Kept implement store.Keeper.
func (h *Hub) Keep(ctx context.Context, to store.KeptFor, m store.KeptMessage, limits store.KeepLimits) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keep(ctx, nil, to, m, limits)
}

func (h *Hub) Kept(ctx context.Context, to store.KeptFor, after uint64) (store.Kept, error) {
	return h.kept.Kept(ctx, to, after)
}

// keep keeps a message and notifies the holders of its topic but one. The lock is held.
func (h *Hub) keep(
	ctx context.Context, by *Node, to store.KeptFor, m store.KeptMessage, limits store.KeepLimits,
) error {
	if to.SessionID != "" {
		if _, err := h.Get(ctx, to.SessionID); err != nil {
			return err
		}
	}
	for _, n := range h.nodes {
		if n != by && !n.left && n.clients[to.Topic()] {
			n.hear(store.Change{Kind: store.ChangeClient, ClientID: to.Topic()})
		}
	}
	return h.kept.Keep(ctx, to, m, limits)
}

// Destroy and Sweep drop what is kept for the sessions that end.
func (h *Hub) Destroy(ctx context.Context, id string) (bool, error) {
	h.kept.End(id)
	return h.Store.Destroy(ctx, id)
}

func (h *Hub) Sweep(ctx context.Context, now time.Time, most int) ([]store.Record, error) {
	recs, err := h.Store.Sweep(ctx, now, most)
	for i := range recs {
		h.kept.End(recs[i].ID)
	}
	return recs, err
}

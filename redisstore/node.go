package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

var (
	_ store.Watcher    = (*Store)(nil)
	_ store.Ender      = (*Store)(nil)
	_ store.UserLocker = (*Store)(nil)
	_ store.Node       = (*node)(nil)
)

// node is a view of the store: what is done through it is the node's, and not told to it.
type node struct{ *Store }

// Watch implements store.Watcher. An App's store has nodes of its own; so have its other Apps, which a node's App method returns as any other does.
//
// Leave ends the node. Without it Close ends it, too, and then the others find out within 15 seconds.
func (s *Store) Watch(tell func(store.Change)) store.Node {
	view := &Store{engine: s.engine, app: s.app, prefixes: s.prefixes}
	view.member = newMembership(view, tell)
	view.member.begin()
	return &node{view}
}

// Close does nothing: Leave ends a node, and the store is closed by whoever opened it.
func (n *node) Close() error { return nil }

// Hold implements store.Node. What has been held by nobody else costs Redis about 200 bytes.
func (n *node) Hold(ctx context.Context, sessionID, clientID string) error {
	const doing = "hold"
	m := n.member
	items := m.items(sessionID, clientID)
	for _, it := range items {
		m.held[it.shard].want(it.name)
	}
	err := m.change(ctx, doing, items, true)
	for _, it := range items {
		m.held[it.shard].got(it.name, err == nil)
	}
	return err
}

// Release implements store.Node.
func (n *node) Release(ctx context.Context, sessionID, clientID string) error {
	const doing = "release"
	m := n.member
	items := m.items(sessionID, clientID)
	for _, it := range items {
		m.held[it.shard].drop(it.name)
	}
	if t := m.term.Load(); t == nil || t.ctx.Err() != nil { // it won't be held again
		return m.store.engine.ready(ctx, doing)
	}
	return m.change(ctx, doing, items, false)
}

// Contact implements store.Node. A part of the store is a shard.
func (n *node) Contact() store.Contact {
	m := n.member
	var reached time.Time
	for i := range m.answered {
		if at := m.answered[i].load(); at.After(reached) {
			reached = at
		}
	}
	return store.Contact{Answered: earliest(m.answered), Reached: reached, Heard: earliest(m.heard)}
}

// Leave implements store.Node. When the context ends first, or Redis can't be reached, it returns an error; the node has ended all the same.
func (n *node) Leave(ctx context.Context) error {
	const doing = "leave"
	m := n.member
	m.silence()
	m.stop()
	select {
	case <-m.ended:
	case <-ctx.Done():
		return fmt.Errorf("redisstore: %s: %w", doing, context.Cause(ctx))
	}
	t := m.term.Load()
	if t == nil || m.left.Load() {
		return nil
	}
	err := m.bury(ctx, doing, t.name)
	m.left.Store(err == nil)
	return err
}

// bury has all shards forget the node, which isn't any more.
func (m *membership) bury(ctx context.Context, doing, name string) error {
	prefixes := slices.Clone(m.store.prefixes)
	for len(prefixes) > 0 {
		calls := make([]call, len(prefixes))
		for i, prefix := range prefixes {
			calls[i] = call{&m.store.engine.scripts.bury, prefix, []string{name, buryPiece, "1"}}
		}
		answers, err := m.store.engine.runAll(ctx, doing, calls)
		if err != nil {
			if errors.Is(err, store.ErrClosed) {
				return nil
			}
			return err
		}
		var left []string
		for i, answer := range answers {
			if more, err := answer.AsInt64(); err != nil {
				return damaged(doing, err)
			} else if more == 1 {
				left = append(left, prefixes[i])
			}
		}
		prefixes = left
	}
	return nil
}

// buryPiece is how much of what a node held is forgotten at a time.
const buryPiece = "500"

func earliest(times []instant) (first time.Time) {
	for i := range times {
		if at := times[i].load(); i == 0 || at.Before(first) {
			first = at
		}
	}
	return first
}

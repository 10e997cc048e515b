package redisstore

import (
	"context"

	"github.com/sessionbridge/sessionbridge/store"
)

// Announce implements store.Node.
func (n *node) Announce(ctx context.Context, clientID, sessionID string) error {
	const doing = "announce"
	m := n.member
	it := m.item("k", clientID)
	entry := append(appendText([]byte{entryClient}, clientID), sessionID...)
	_, err := n.change(ctx, doing, call{
		&n.engine.scripts.announce, n.prefixes[it.shard], []string{m.name(), stored(it.name)[1:], string(entry)},
	})
	return err
}

// Holders implements store.Node.
func (n *node) Holders(ctx context.Context, sessionIDs, clientIDs []string) ([]string, error) {
	m := n.member
	args := make([][]string, len(n.prefixes)) // by shard
	add := func(kind string, ids []string) {
		for _, id := range ids {
			it := m.item(kind, id)
			if args[it.shard] == nil {
				args[it.shard] = []string{m.name()}
			}
			args[it.shard] = append(args[it.shard], stored(it.name))
		}
	}
	add("h", sessionIDs)
	add("k", clientIDs)
	var calls []call
	for i, some := range args {
		if some != nil {
			calls = append(calls, call{&n.engine.scripts.holders, n.prefixes[i], some})
		}
	}
	return n.names(ctx, "holders", calls)
}

// Nodes implements store.Node.
func (n *node) Nodes(ctx context.Context) ([]string, error) {
	return n.names(ctx, "nodes", []call{{&n.engine.scripts.everyone, n.prefixes[0], []string{n.member.name()}}})
}

// names returns the names that the scripts answer with, each once.
func (n *node) names(ctx context.Context, doing string, calls []call) (names []string, err error) {
	if err := n.engine.ready(ctx, doing); err != nil || len(calls) == 0 {
		return nil, err
	}
	answers, err := n.engine.runAll(ctx, doing, calls)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, answer := range answers {
		some, err := texts(doing, answer)
		if err != nil {
			return nil, err
		}
		for _, name := range some {
			if !known[name] {
				known[name] = true
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// Send implements store.Node. The data waits in the memory of Redis until the nodes have read it; one that has 16 MiB waiting for it gets no more. They can answer
// when this node has joined.
func (n *node) Send(ctx context.Context, to []string, data []byte) error {
	const doing = "send"
	t, err := n.member.current(ctx, doing)
	if err != nil {
		return err
	}
	entry := string(entryMessage) + t.name + string(data)
	args := make([][]string, len(n.prefixes)) // by shard: a node reads messages in the one that its name chooses
	for _, name := range to {
		i := shardOf(name, len(n.prefixes))
		if args[i] == nil {
			args[i] = []string{entry}
		}
		args[i] = append(args[i], name)
	}
	var calls []call
	for i, some := range args {
		if some != nil {
			calls = append(calls, call{&n.engine.scripts.send, n.prefixes[i], some})
		}
	}
	if len(calls) == 0 {
		return nil
	}
	_, err = n.engine.runAll(ctx, doing, calls)
	return err
}

// maxReason is how many bytes of a reason are told.
const maxReason = 64

// End implements store.Ender. Of a longer reason only the beginning is told.
func (s *Store) End(ctx context.Context, id, reason string, revision uint64) (bool, error) {
	return s.end(ctx, "end", id, reason[:min(len(reason), maxReason)], revision)
}

func (s *Store) end(ctx context.Context, doing, id, reason string, revision uint64) (bool, error) {
	p := s.place(id)
	expected := ""
	if revision > 0 {
		expected = revisionText(revision)
	}
	n, err := s.change(ctx, doing, call{&s.engine.scripts.destroy, p.prefix, []string{p.member, s.actor(), reason, expected}})
	if n == 1 && s.member != nil {
		s.member.destroyed(p, reason)
	}
	switch n {
	case -2:
		err = store.ErrConflict
	case 1:
		err = s.engine.waitForReplicas(ctx, doing, p.prefix)
	}
	return n == 1 && err == nil, err
}

// actor returns the name of the node that this is a view of, or "".
func (s *Store) actor() string {
	if s.member == nil {
		return ""
	}
	return s.member.name()
}
